// What `forcetls doctor` finds: ways around the enforcement in a Postfix configuration, and
// whatever would stop, lose or hide mail that has to wait. Pure: ctl gathers the facts that
// questions() asks for, examine() judges, ctl prints. Every finding's id has a section in
// forcetls-doctor(8).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "shared/core/rule_store.h"
#include "shared/mta/postconf.h"
#include "shared/mta/postfix_instance.h"

namespace forcetls::doctor {

/// Leak: mail for a forced domain can leave in clear, or to a server that nobody authenticated.
/// Warning: mail is lost, bounced or stopped, or nobody is told. Note: anything else.
enum class Severity { Note, Warning, Leak };
enum class Certainty { Possible, Likely, Certain };

std::string_view to_text(Severity severity);
std::string_view to_text(Certainty certainty);

struct Finding {
  std::string id;  ///< "route-next-hop"
  Severity severity = Severity::Leak;
  Certainty certainty = Certainty::Certain;
  std::string where;  ///< "main.cf: relayhost", "master.cf: relay/unix: -o smtp_fallback_relay"
  std::string what;   ///< one or two sentences
  std::string fix;    ///< one command that closes it
};
using Findings = std::vector<Finding>;

/// At most so many findings of one id; one more says how many were left out.
constexpr std::size_t kMostPerId = 20;
/// The finding that policyd goes by other rows: it may be gone a moment later.
constexpr const char* kPolicydAnswers = "policyd-answers";
/// So many forced rows are looked at one by one (routes, earlier tables).
constexpr std::size_t kMostExaminedRows = 5000;

/// A socket of ours, as a chrooted or unchrooted service of Postfix would reach it.
struct SocketQuestion {
  std::string address;  ///< unix:forcetls/map.sock, inet:127.0.0.1:9001
  bool chrooted = false;
  bool is_milter = false;  ///< it is to answer as one; else it is enough that somebody listens
  auto operator<=>(const SocketQuestion&) const = default;
};

/// What has to be found out on the host before examine() can judge.
struct Questions {
  std::set<std::string> addresses;       ///< where does Postfix send them?
  std::set<std::string> tables;          ///< what do they hold?
  std::set<std::string> pattern_files;   ///< what do they say?
  std::set<std::string> domain_tables;   ///< of our own domains: which of the keys do they have?
  std::set<std::string> policy_tables;   ///< TLS policy tables that are asked before ours
  std::vector<std::string> keys;         ///< what do those, and ours, answer for these?
  std::set<std::string> status_filters;  ///< what do they make of a 5xx to STARTTLS?
  std::set<std::string> action_tables;   ///< access tables and the like: what results do they have?
  std::set<std::string> our_tables;      ///< does a lookup get an answer?
  std::set<SocketQuestion> sockets;      ///< does somebody listen, and answer?
  std::set<std::string> files;           ///< are they there, with something in them?
};

/// A message in the queue that carries a FILTER record.
struct QueuedFilter {
  std::string queue_id, filter;
};

struct PolicyFile {
  std::string path;
  bool is_usual = true;  ///< the one that our commands take by themselves
  bool exists = true;
  bool is_wal = false;
  std::string unreadable;        ///< what keeps the daemons from it: the file or a directory above
  bool only_root_writes = true;  ///< the file
  bool only_root_writes_directory = true;  ///< where somebody else could put another file
};

/// What a running policyd says of our rows.
struct LiveAnswers {
  TimePoint asked_at{};                         ///< before the first question
  std::map<std::string, std::string> answers;   ///< by key; a key that is nowhere: not found
  std::map<std::string, std::string> failures;  ///< by key: no answer, and why
};

/// The answers. What could not be found out is absent.
struct HostFacts {
  bool is_running = false;
  std::set<std::string> our_addresses;  ///< where forcetls.conf lets our daemons listen
  std::set<std::string>
      host_addresses;             ///< the host's own, loopback or not: 192.0.2.1, 2001:db8::1
  std::string main_cf_directory;  ///< where main.cf lies
  bool main_cf_ends_in_newline = true;
  std::string config_directory;  ///< empty: Postfix's own default, so commands need no -c
  PolicyFile policy;
  std::map<std::string, std::string> settings;  ///< the table setting
  std::set<std::string> domains_off;  ///< rows in mode off, which a RuleStore does not give
  std::map<std::string, ResolvedRoute> routes;  ///< by address, those that Postfix could tell
  std::map<std::string, std::vector<TableEntry>> tables;
  std::map<std::string, std::string> pattern_files;          ///< their texts
  std::map<std::string, std::vector<std::string>> own_keys;  ///< by the table
  std::map<std::string, std::vector<std::string>> actions;   ///< results, by the table
  std::map<std::string, std::map<std::string, std::string>> policy_answers;  ///< table, key
  std::map<std::string, std::string> status_answers;  ///< by the filter; empty: none
  std::map<std::string, std::string> table_failures;  ///< our tables that do not answer, and why
  std::map<std::string, LiveAnswers> live_answers;    ///< of the others, to Questions::keys
  std::map<SocketQuestion, std::string> socket_failures;  ///< those that do not answer, and why
  std::set<std::string> missing_files;
  std::vector<QueuedFilter> queued_filters;
  bool whole_queue_seen = true;  ///< or there were too many messages to look at all
};

/// The status line that is tried on smtp_delivery_status_filter.
constexpr std::string_view kStarttlsRefusal =
    "5.5.1 TLS is required, but host mx.example[192.0.2.1] refused to start TLS: 502 5.5.1 Error";

/// The address whose route stands for all mail to the row `key`; empty for a next hop.
std::string sample_address(std::string_view key);

/// The rules of a table that is written into the parameter itself, a line each: what follows the
/// type in "regexp:{{/a/ b}, {/c/ d}}". Empty: it is a file's name.
std::string inline_rules(std::string_view name);

/// The results in the text of a regexp: or pcre: table, or a cidr: one, which postmap cannot list.
std::vector<std::string> results_in(std::string_view text, bool is_cidr);

/// `our_addresses` as in HostFacts.
Questions questions(const PostfixConfig& config, const RuleStore& policy,
                    const std::string& queue_directory, const std::set<std::string>& our_addresses);

/// More addresses of which Postfix should say where it sends them: those that the tables give
/// copies of messages, or whole messages. For facts that have the tables.
std::set<std::string> addresses_to_resolve(const PostfixConfig& config, const RuleStore& policy,
                                           const HostFacts& facts);

/// All findings, the worst first; but before them what makes the commands of others do harm.
std::vector<Finding> examine(const PostfixConfig& config, const RuleStore& policy,
                             const HostFacts& facts, TimePoint now);

}  // namespace forcetls::doctor
