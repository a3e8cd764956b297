// What the checks of the doctor share: the case at hand, how next hops are judged, and how the
// commands are written. Only for doctor*.cc.
#pragma once

#include <array>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/core/requirement.h"
#include "shared/mta/doctor.h"
#include "shared/mta/setup_plan.h"

namespace forcetls::doctor {

constexpr std::string_view kPolicyMaps = "smtp_tls_policy_maps";

/// A row that forces TLS. Views borrow from the RuleStore.
struct ForcedRow {
  std::string key;
  Requirement requirement;
};

/// Everything that a check may look at.
struct Case {
  const PostfixConfig& config;
  const RuleStore& policy;
  const HostFacts& facts;
  TimePoint now;
  std::vector<ForcedRow> forced;   ///< the first kMostExaminedRows
  std::vector<Requirement> needs;  ///< the different demands of all forced rows; never empty
  std::size_t forced_count = 0;

  /// As if there were one row of level encrypt, where there is no forced row yet.
  bool has_rows() const { return forced_count > 0; }
};

Case make_case(const PostfixConfig& config, const RuleStore& policy, const HostFacts& facts,
               TimePoint now);

/// Where a parameter has a value: main.cf (no service), or one entry of master.cf.
struct Place {
  const PostfixService* service = nullptr;
  std::string value{};  ///< in force there, expanded
  std::string text{};   ///< as the file has it
};

/// The places that decide about `parameter` for services that run one of `programs`: main.cf if one
/// of them relies on it, and each that has a value of its own.
std::vector<Place> places(const Case& the, std::initializer_list<std::string_view> programs,
                          std::string_view parameter);

/// What a parameter is there.
std::string value_at(const Case& the, const Place& place, std::string_view parameter);
std::string where(const Place& place, std::string_view parameter);

// Commands for an administrator's shell.
std::string set_command(const Case& the, const Place& place, std::string_view parameter,
                        std::string_view value);
/// Makes `parameter` what main.cf and the defaults say.
std::string unset_command(const Case& the, const Place& place, std::string_view parameter);
std::string setup_command(const Case& the);
std::string sql_command(const Case& the, const std::string& sql);
std::string setting_command(const Case& the, std::string_view name, std::string_view value);
/// `program`, told which instance is meant where that is not the host's own.
std::string with_config_directory(const Case& the, std::string_view program);
/// `command` and, while Postfix runs, a reload.
std::string with_reload(const Case& the, const std::string& command);
std::string shell_word(std::string_view text);

/// A transport:nexthop of a transport table, a filter or a parameter.
struct Destination {
  std::string transport, next_hop;
};
Destination destination_in(std::string_view text);

/// The entry of master.cf that a transport names, or nullptr.
const PostfixService* service_of_transport(const Case& the, std::string_view transport);
/// A table, and the place that names it.
struct PlacedTable {
  std::string where, table;
};

// Where mail goes is decided by trivial-rewrite, which may have values of its own.
std::vector<Place> routing_places(const Case& the, std::string_view parameter);
/// The tables of such a parameter.
std::vector<PlacedTable> routing_tables(const Case& the, std::string_view parameter);
/// All tables that `parameter` names in main.cf and for trivial-rewrite.
std::vector<std::string> routing_tables(const PostfixConfig& config, std::string_view parameter);

/// The client that sends to the next hops of that transport; without one by the usual way. nullptr:
/// it is not known.
const PostfixService* client_of(const Case& the, std::string_view transport);
/// True if it is a client that sends mail over the network: smtp or lmtp.
bool is_network_client(const PostfixService& service);

/// The key that Postfix asks for: lmtp's "inet:" is no part of it.
Result<NextHopKey> key_of(std::string_view next_hop);

/// True if a key can stand in a command as it is.
bool is_plain_key(std::string_view key);

// Postfix takes several next hops, separated by commas and blanks (postfix: smtp(8), since 3.5).

/// True if all of them are this host: loopback addresses, socket paths.
bool stays_here(std::string_view next_hops);

/// The first of them on loopback where Postfix itself does not listen; empty: none.
std::string program_here(const Case& the, std::string_view next_hops);

/// As stays_here, but an address of this host counts too: for what is handed to a program there.
/// Mail for a partner that is routed so has not arrived, only come back.
bool is_this_host(const Case& the, std::string_view next_hops);

/// The strictest of `needs` that a delivery by `client` to one of `next_hops` would not keep;
/// nullptr: mail may go there. A hop without a row is held to what the client asks else, its own
/// level at last.
const Requirement* unmet(const Case& the, const PostfixService* client, std::string_view next_hops,
                         std::span<const Requirement> needs);

/// The SQL command that holds the first weak one of `next_hops` to `wanted`.
std::string row_command(const Case& the, const PostfixService* client, std::string_view next_hops,
                        const Requirement& wanted);

/// True if domain_policy has a row with exactly this key, of whatever mode.
bool has_row(const Case& the, std::string_view key);
/// The row that says what an entry of the site's own table says: a command, or words where a row
/// needs `more` than a level.
std::string row_command_of_entry(const Case& the, std::string_view key, Level level, bool more);

/// The site's own TLS policy tables that are asked after ours.
std::set<std::string> tables_behind_ours(const PostfixConfig& config);
/// Rows below whose domain such a table has an entry that demands more than the row does.
std::vector<std::string> stricter_sub_domains(const Case& the);

/// True if a table of a policy map list is our socketmap of that name ("tls", also "forced").
bool is_our_map(std::string_view table, std::string_view name);
/// The socket that such a table is asked by: "unix:forcetls/map.sock".
std::string socket_of_map(std::string_view table);
/// The address of a policy service or milter, with or without {braces and options}.
std::string address_in(std::string_view element);
/// True if forcetls listens there: it says so in its path, or forcetls.conf does.
bool is_our_socket(std::string_view address, const std::set<std::string>& our_addresses);
/// A policy service in a list of restrictions; nothing: ours is not asked there.
struct PolicyService {
  std::size_t position;  ///< of check_policy_service in the list
  std::string element;   ///< what follows it
};
std::optional<PolicyService> our_policy_service(const std::vector<std::string>& restrictions,
                                                const std::set<std::string>& our_addresses);
std::optional<std::string> our_milter(const std::vector<std::string>& milters,
                                      const std::set<std::string>& our_addresses);
/// The value of "name=value" or "{ name = value }" among the options in braces; empty: none.
std::string option_in(std::string_view element, std::string_view name);
bool asks_policyd(const Case& the, const PostfixService& service);

/// True if a listener is reached from this host only.
bool is_loopback_listener(const Case& the, const PostfixService& service);

/// "a b c", as settings are written.
std::string with_blanks(const std::vector<std::string>& words);

/// "a, b, c and 4 more".
std::string some_of(const std::vector<std::string>& names);

/// True if an element of a list is a lookup table: "hash:/a".
bool is_table(std::string_view element);

/// All of questions() but the sockets.
Questions questions_of_policy(const PostfixConfig& config, const RuleStore& policy,
                              const std::string& queue_directory);

/// Tables whose results are actions (postfix: access(5), header_checks(5)).
std::vector<PlacedTable> action_tables(const PostfixConfig& config);
/// What follows the word `action` in such a result; empty: it is another one.
std::string_view argument_of(std::string_view text, std::string_view action);

/// The forced demand on the recipients that a table's key names (user@domain, domain, .domain);
/// nothing otherwise.
std::optional<Requirement> demand_of_pattern(const Case& the, std::string_view key);

/// The tables that say who else is given a message, or who instead.
std::set<std::string> tables_of_recipients(const PostfixConfig& config);

/// What doctor_copies.cc says of a FILTER action.
void judge_filter_action(const Case& the, const std::string& place, std::string_view filter,
                         Findings& found);

/// What is to be said of the database itself, whichever MTA asks for its rows.
void examine_policy_file(const PolicyFile& file, Findings& found);
/// The worst first, and at most kMostPerId of each id.
Findings worst_first(Findings found);

using Check = void (*)(const Case&, Findings&);

// The checks, by file.
void check_policy_maps(const Case& the, Findings& found);         // doctor_maps.cc
void check_earlier_tables(const Case& the, Findings& found);      // doctor_maps.cc
void check_default_is_last(const Case& the, Findings& found);     // doctor_maps.cc
void check_hidden_level(const Case& the, Findings& found);        // doctor_maps.cc
void check_hidden_entries(const Case& the, Findings& found);      // doctor_hidden.cc
void check_lmtp_maps(const Case& the, Findings& found);           // doctor_maps.cc
void check_level(const Case& the, Findings& found);               // doctor_maps.cc
void check_per_site(const Case& the, Findings& found);            // doctor_maps.cc
void check_socket_paths(const Case& the, Findings& found);        // doctor_sockets.cc
void check_reachability(const Case& the, Findings& found);        // doctor_sockets.cc
void check_answers(const Case& the, Findings& found);             // doctor_answers.cc
void check_routes(const Case& the, Findings& found);              // doctor_routes.cc
void check_relayhost(const Case& the, Findings& found);           // doctor_routes.cc
void check_transport_entries(const Case& the, Findings& found);   // doctor_routes.cc
void check_sender_routes(const Case& the, Findings& found);       // doctor_routes.cc
void check_fallback_relay(const Case& the, Findings& found);      // doctor_routes.cc
void check_mailbox_transports(const Case& the, Findings& found);  // doctor_routes.cc
void check_content_filter(const Case& the, Findings& found);      // doctor_copies.cc
void check_proxy_filter(const Case& the, Findings& found);        // doctor_copies.cc
void check_actions(const Case& the, Findings& found);             // doctor_actions.cc
void check_recipients(const Case& the, Findings& found);          // doctor_recipients.cc
void check_milter_hosts(const Case& the, Findings& found);        // doctor_copies.cc
void check_queued_filters(const Case& the, Findings& found);      // doctor_copies.cc
void check_memory(const Case& the, Findings& found);              // doctor_client.cc
void check_tls_required(const Case& the, Findings& found);        // doctor_client.cc
void check_starttls_is_seen(const Case& the, Findings& found);    // doctor_client.cc
void check_bounces(const Case& the, Findings& found);             // doctor_client.cc
void check_silence(const Case& the, Findings& found);             // doctor_client.cc
void check_trust(const Case& the, Findings& found);               // doctor_trust.cc
void check_dane(const Case& the, Findings& found);                // doctor_trust.cc
void check_fingerprints(const Case& the, Findings& found);        // doctor_trust.cc
void check_floors(const Case& the, Findings& found);              // doctor_trust.cc
void check_cipher_lists(const Case& the, Findings& found);        // doctor_trust.cc
void check_policy_service(const Case& the, Findings& found);      // doctor_admission.cc
void check_submission(const Case& the, Findings& found);          // doctor_admission.cc
void check_milters(const Case& the, Findings& found);             // doctor_milters.cc
void check_skipped_milters(const Case& the, Findings& found);     // doctor_milters.cc
void check_unlisted_relays(const Case& the, Findings& found);     // doctor_unlisted.cc
void check_sub_domains(const Case& the, Findings& found);         // doctor_unlisted.cc
void check_directory(const Case& the, Findings& found);           // doctor_policy.cc
void check_transports(const Case& the, Findings& found);          // doctor_policy.cc
void check_own_domains(const Case& the, Findings& found);         // doctor_own_domains.cc
void check_unseen_tables(const Case& the, Findings& found);       // doctor_unseen.cc
void check_policy_file(const Case& the, Findings& found);         // doctor_policy.cc

}  // namespace forcetls::doctor
