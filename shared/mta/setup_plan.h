// What `forcetls setup` wants changed in a Postfix configuration, and why: a pure function from
// what postconf prints to a list of changes (design, section 8). ctl/setup.cc prints and applies
// them. Nothing that the site has is taken away, replaced or put in another order; our parts are
// put around it.
#pragma once

#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/core/next_hop_key.h"
#include "shared/core/policy.h"
#include "shared/mta/postconf.h"

namespace forcetls {

/// The parts that we put into lists, as main.cf.forcetls has them. Paths are relative to the queue
/// directory, so they work in a chroot and outside.
constexpr std::string_view kTlsMap = "socketmap:unix:forcetls/map.sock:tls";
constexpr std::string_view kDefaultMap = "socketmap:unix:forcetls/map.sock:default";
constexpr std::string_view kLmtpMap = "socketmap:unix:forcetls/map.sock:lmtp";
constexpr std::string_view kPolicySocket = "unix:forcetls/policy.sock";
constexpr std::string_view kPolicyService =
    "check_policy_service { unix:forcetls/policy.sock, timeout=10s, "
    "{ default_action = 451 4.7.0 forcetls-policyd does not answer; try again later } }";
constexpr std::string_view kMilterSocket = "unix:forcetls/milter.sock";
constexpr std::string_view kMilter =
    "{ unix:forcetls/milter.sock, default_action=tempfail, command_timeout=10s }";
/// The table of smtp_delivery_status_filter; setup puts it beside main.cf.
constexpr std::string_view kStatusFilterName = "forcetls-delivery-status";
constexpr std::string_view kStatusFilter = "regexp:$config_directory/forcetls-delivery-status";
constexpr std::string_view kCaBundle = "/etc/ssl/certs/ca-certificates.crt";

/// The parameters that name the site's own domains.
constexpr std::array<std::string_view, 4> kOwnDomainLists{
    "mydestination", "virtual_alias_domains", "virtual_mailbox_domains", "relay_domains"};

/// A row of domain_policy, as far as setup looks at it.
struct SetupRow {
  std::string key;
  Level outbound = Level::Encrypt;
  bool in_force = true;  ///< mode enforce
};

/// What the plan depends on besides main.cf and master.cf.
struct SetupFacts {
  using Entries = std::vector<std::pair<std::string, std::string>>;

  bool bounce_bodies = false;  ///< the administrator takes bounces with bodies
  bool has_ca_bundle = true;   ///< kCaBundle is there
  std::string policy_db{};     ///< for the commands that are proposed
  std::vector<SetupRow> rows{};
  std::map<std::string, std::string> settings{};  ///< the table setting now
  std::set<std::string> filled_by_setup{};  ///< of these, those that an --apply wrote last, of any
                                            ///< instance that uses this policy.db
  std::map<std::string, Entries> tables{};  ///< of tables_to_list(), those that could be
  std::map<std::string, std::string> files{};  ///< of files_to_read(), those that could be
};

/// A parameter that gets another value.
struct ParameterChange {
  std::string service;  ///< "submission/inet": its -o option; empty: main.cf
  std::string name;
  std::string value;  ///< as it will be written, $names and all
  std::string reason;

  /// "main.cf: relayhost", "master.cf: submission/inet: -o relayhost".
  std::string where() const;
};

/// A row of the table setting that gets another value.
struct SettingChange {
  std::string name, value, reason;
};

struct Plan {
  std::vector<ParameterChange> parameters;  ///< to be made in this order
  std::vector<SettingChange> settings;
  std::vector<std::string> refusals;  ///< why setup must not go on, and what to do; one line each
  std::vector<std::string> advice;    ///< what is left to the administrator; one line each
};

/// Where the mail of this configuration may go besides the recipient's own domain, and which tables
/// hold its own domains: "hash:/etc/postfix/transport" ..., each once.
std::vector<std::string> tables_to_list(const PostfixConfig& config);

/// The files in which its own domains stand, "/etc/postfix/domains" ..., each once.
std::vector<std::string> files_to_read(const PostfixConfig& config);

/// True if a value of smtp_tls_security_level proves more than `encrypt`, which is all that the map
/// default can answer: where it is in force, that map could only lower it.
bool proves_more_than_defaults(std::string_view level);

/// True if Postfix itself takes mail at the port of a next hop on loopback.
bool is_own_listener(const PostfixConfig& config, const NextHopKey& key);

/// The command that runs `sql`, which has no double quotes in it.
std::string sqlite_command(std::string_view policy_db, std::string_view sql);

/// Total: every configuration that postconf can print has a plan.
Plan plan_setup(const PostfixConfig& config, const SetupFacts& facts);

}  // namespace forcetls
