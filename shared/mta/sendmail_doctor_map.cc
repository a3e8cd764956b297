// Does Sendmail ask us for every recipient, and go by the answer?
#include <fmt/format.h>

#include "shared/mta/sendmail_case.h"
#include "shared/mta/sendmail_ruleset.h"

namespace forcetls::doctor {
namespace {

std::string include_ours(const SendmailCase& the) {
  return and_restart(the, fmt::format("add to {}, behind the MAILER() lines: include(`{}')dnl",
                                      the.facts.files.mc(), the.facts.files.snippet()));
}

/// What is wrong with the switches of our K line; empty: nothing.
std::string fault_of_switches(const SendmailMap& map) {
  if (map.has_switch('o')) return "-o makes \"not found\" of a daemon that is down";
  if (map.switch_value('T') != "<TMPF>")
    return "without -T<TMPF> a fault is not told from other answers";
  if (!map.has_switch('d')) return "without -d each delivery hangs for 30 s while the daemon does";
  return {};
}

}  // namespace

void check_build(const SendmailCase& the, Findings& found) {
  if (!is_supported_sendmail(the.facts.version))
    found.push_back(
        {"sendmail-version", Severity::Leak, Certainty::Possible,
         fmt::format("sendmail {}", the.facts.version),
         "forcetls.m4 was tried with Sendmail 8.17 and 8.18 only; in older releases its "
         "rules may mean something else.",
         "apt-get install sendmail-bin"});
  const auto lacks = [&](const char* feature) {
    return !the.facts.features.empty() && !the.facts.features.contains(feature);
  };
  const auto tell = [&](Severity severity, std::string what) {
    found.push_back({"sendmail-build", severity, Certainty::Certain,
                     fmt::format("sendmail {}", the.facts.version), std::move(what),
                     "apt-get install sendmail-bin"});
  };
  if (lacks("STARTTLS"))
    tell(Severity::Leak,
         "It was built without STARTTLS: it never comes to the rules, and no row has any effect.");
  if (lacks("SOCKETMAP"))
    tell(Severity::Warning, "It was built without SOCKETMAP: it cannot ask forcetls.");
}

void check_map_line(const SendmailCase& the, Findings& found) {
  const SendmailMap* map = the.config.map(kSendmailMap);
  if (map == nullptr || map->type != "socket") {
    // Without the ruleset nobody asks it, and that is said elsewhere.
    if (ruleset_state(the.config) == RulesetState::Missing) return;
    if (map != nullptr) {
      found.push_back({"map-type", Severity::Leak, Certainty::Certain,
                       in_cf(the, "K line sendmail"),
                       fmt::format("The rules ask a map of type {}, not forcetls-policyd: what it "
                                   "answers is no row's.",
                                   map->type),
                       include_ours(the)});
      return;
    }
    found.push_back(
        {"map-missing", Severity::Warning, Certainty::Certain, in_cf(the, "K lines"),
         "The rules ask a socket map with the name sendmail, and there is none: mail to "
         "other hosts bounces.",
         include_ours(the)});
    return;
  }
  if (!map->has_switch('q'))
    found.push_back({"map-quotes", Severity::Leak, Certainty::Certain,
                     in_cf(the, "K line sendmail"),
                     "Without -q forcetls is asked without the backslashes of a domain, which the "
                     "resolver understands: \\099 is c to it, and mail goes past the row.",
                     include_ours(the)});
  if (const std::string fault = fault_of_switches(*map); !fault.empty())
    found.push_back({"map-switches", Severity::Warning, Certainty::Certain,
                     in_cf(the, "K line sendmail"),
                     fmt::format("The line is not as forcetls.m4 has it: {}. The rules of "
                                 "forcetls.m4 let mail wait all the same, others would let it go.",
                                 fault),
                     include_ours(the)});
}

void check_ruleset(const SendmailCase& the, Findings& found) {
  const std::string where = in_cf(the, "ruleset Local_tls_rcpt");
  switch (ruleset_state(the.config)) {
    case RulesetState::Ours:
      return;
    case RulesetState::Missing:
      found.push_back({"ruleset-missing", Severity::Leak, Certainty::Certain, where,
                       "Sendmail does not ask forcetls: no row has any effect.",
                       include_ours(the)});
      return;
    case RulesetState::Preceded:
      found.push_back(
          {"ruleset-preceded", Severity::Leak, Certainty::Likely, where,
           "Rules of your own stand before those of forcetls.m4. One that ends the "
           "ruleset lets mail go unasked.",
           and_restart(the, fmt::format("move your LOCAL_TLS_RCPT in {} behind the "
                                        "include of {}",
                                        the.facts.files.mc(), the.facts.files.snippet()))});
      return;
    case RulesetState::Changed:
      found.push_back({"ruleset-changed", Severity::Leak, Certainty::Likely, where,
                       "The rules, or a class that they use, are not those of this release's "
                       "forcetls.m4.",
                       include_ours(the)});
      return;
  }
}

void check_sendmail_sockets(const SendmailCase& the, Findings& found) {
  for (const auto& [address, directory] : the.facts.unsafe_directories)
    found.push_back({"socket-directory", Severity::Warning, Certainty::Certain, address,
                     fmt::format("Sendmail refuses a socket below a directory that a group or "
                                 "others can write to ({}): mail waits.",
                                 directory),
                     fmt::format("chmod go-w '{}'", directory)});
  const SendmailQuestions asked = sendmail_questions(the.config, the.policy);
  for (const auto& [address, user] : the.facts.closed_sockets) {
    const bool is_map = address == asked.map_address;
    if (!is_map && !the.facts.our_addresses.contains(address)) continue;
    found.push_back(
        {"run-as-user", Severity::Warning, Certainty::Certain, address,
         fmt::format("Sendmail becomes {} (RunAsUser), who may not open this socket: {}.", user,
                     is_map ? "all mail to other hosts waits" : "Sendmail does not start any more"),
         fmt::format("systemctl edit forcetls-{0}-sendmail.socket, with SocketGroup={1} and "
                     "SocketMode=0660 below "
                     "[Socket]; then systemctl restart forcetls-{0}-sendmail.socket",
                     is_map ? "map" : "milter", user)});
  }
  for (const auto& [address, why] : the.facts.socket_failures) {
    if (the.facts.unsafe_directories.contains(address)) continue;
    const bool is_map = address == asked.map_address;
    if (!is_map && !the.facts.our_addresses.contains(address)) continue;
    found.push_back(
        {"policyd-unreachable", Severity::Warning, Certainty::Certain, address,
         fmt::format("{} does not answer there ({}): {}.",
                     is_map ? "forcetls-policyd" : "forcetls-milter", why,
                     is_map ? "all mail to other hosts waits"
                            : "mail is refused with a 4xx where it comes in"),
         fmt::format("systemctl restart forcetls-{}-sendmail.socket", is_map ? "map" : "milter")});
  }
}

void check_answers(const SendmailCase& the, Findings& found) {
  for (const SendmailRow& row : the.rows) {
    const auto answer = the.facts.answers.find(row.domain);
    if (answer == the.facts.answers.end() || answer->second == row.answer) continue;
    // What Sendmail takes for a fault makes mail wait, whatever the row says.
    const bool waits =
        answer->second.starts_with("TEMP ") || answer->second.starts_with("NOTFOUND");
    found.push_back(
        {"answer-differs", waits ? Severity::Warning : Severity::Leak, Certainty::Certain,
         in_cf(the, "K line sendmail"),
         fmt::format("For {} the map answers '{}', and by this policy database it would be '{}'. "
                     "Another daemon, or another database?",
                     row.domain, answer->second, row.answer),
         "systemctl restart forcetls-policyd"});
  }
}

void check_stale_daemon(const SendmailCase& the, Findings& found) {
  if (!the.facts.is_newer_than_daemon) return;
  found.push_back({"stale-daemon", Severity::Leak, Certainty::Likely, the.facts.files.cf,
                   "It was written after the running Sendmail had read it: what is examined here "
                   "is not in force yet.",
                   "systemctl restart sendmail"});
}

}  // namespace forcetls::doctor
