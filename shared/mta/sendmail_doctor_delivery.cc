// How mail leaves: under which name it is asked for, by whom, and what comes back.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "shared/mta/sendmail_case.h"

namespace forcetls::doctor {
namespace {

constexpr std::string_view kNoAliases = "define(`confDONT_EXPAND_CNAMES', `True')dnl";
constexpr std::string_view kNoSearchList =
    "define(`confBIND_OPTS', `WorkAroundBrokenAAAA -DNSRCH -DEFNAMES')dnl";
constexpr std::string_view kNoText = "nobodyreturn";

/// Mailers that keep mail on this host, or give it back.
bool stays_here(const SendmailEquates& mailer) {
  for (const char* name : {"local", "prog", "*file*", "*include*", "error", "discard"})
    if (mailer.name == name) return true;
  return is_network_mailer(mailer);
}

int number_of(const std::string& text) {
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string with_word(const std::string& list, std::string_view word) {
  return list.empty() ? std::string(word) : list + "," + std::string(word);
}

}  // namespace

void check_aliases(const SendmailCase& the, Findings& found) {
  constexpr std::string_view kWhat =
      "Sendmail puts what a DNS alias stands for in place of the recipient's domain before anybody "
      "is asked: who forges an alias leads mail past the row.";
  if (!the.config.is_on("DontExpandCnames"))
    found.push_back({"aliases-followed", Severity::Leak, Certainty::Certain,
                     in_cf(the, "O DontExpandCnames"), std::string(kWhat),
                     add_line(the, kNoAliases)});
  if (the.facts.submit && !the.facts.submit->is_on("DontExpandCnames"))
    found.push_back({"aliases-followed", Severity::Leak, Certainty::Certain,
                     "submit.cf: O DontExpandCnames", std::string(kWhat),
                     and_restart(the, fmt::format("add to {}, before its last line: {}",
                                                  the.facts.files.submit_mc(), kNoAliases))});
}

void check_search_list(const SendmailCase& the, Findings& found) {
  constexpr std::string_view kWhat =
      "Where DNS does not know a recipient's domain, or cannot say, Sendmail looks for it below "
      "this "
      "host's own domain (the resolver's search list), and asks for what it finds there: with a "
      "wildcard mail goes past the row.";
  if (the.config.uses_search_list())
    found.push_back({"names-completed", Severity::Leak, Certainty::Certain,
                     in_cf(the, "O ResolverOptions"), std::string(kWhat),
                     add_line(the, kNoSearchList)});
  if (the.facts.submit && the.facts.submit->uses_search_list())
    found.push_back({"names-completed", Severity::Leak, Certainty::Certain,
                     "submit.cf: O ResolverOptions", std::string(kWhat),
                     and_restart(the, fmt::format("add to {}, before its last line: {}",
                                                  the.facts.files.submit_mc(), kNoSearchList))});
}

void check_routes(const SendmailCase& the, Findings& found) {
  if (!the.config.is_on("DontPruneRoutes")) return;
  found.push_back(
      {"routes-kept", Severity::Leak, Certainty::Possible, in_cf(the, "O DontPruneRoutes"),
       "Mail to <@relay.example:user@bank.example> goes to relay.example, and that "
       "domain's row counts, not the one of bank.example. Harmless while Sendmail takes "
       "no such addresses (_USE_DEPRECATED_ROUTE_ADDR_ is not defined).",
       and_restart(the,
                   fmt::format("take confDONT_PRUNE_ROUTES out of {}", the.facts.files.mc()))});
}

void check_submission_host(const SendmailCase& the, Findings& found) {
  if (!the.facts.submit) return;
  const std::string mc = the.facts.files.submit_mc();
  const auto tell = [&](std::string_view where, const std::string& host, std::string_view when,
                        std::string_view fix) {
    const auto key = NextHopKey::parse(host);
    if (host.empty() || host == "localhost" || (key && is_loopback(*key))) return;
    found.push_back({"submit-elsewhere", Severity::Leak, Certainty::Certain,
                     fmt::format("submit.cf: {}", where),
                     fmt::format("Mail of sendmail(1) is handed to {}{}, and nobody is asked "
                                 "whether over TLS.",
                                 host, when),
                     and_restart(the, fix)});
  };
  tell("MTAHost", the.facts.submit->macro("MTAHost"), "",
       fmt::format("write in {}: FEATURE(`msp', `[127.0.0.1]')dnl", mc));
  tell("O FallbackSmartHost", the.facts.submit->option("FallbackSmartHost").value_or(""),
       " while the daemon does not answer",
       fmt::format("take confFALLBACK_SMARTHOST out of {}", mc));
}

void check_mailers(const SendmailCase& the, Findings& found) {
  for (const SendmailEquates& mailer : the.config.mailers()) {
    if (stays_here(mailer)) continue;
    found.push_back(
        {"program-mailer", Severity::Leak, Certainty::Possible, in_cf(the, "M" + mailer.name),
         fmt::format("What is routed to mailer {} is handed to {}, and forcetls is not "
                     "asked. Nobody can know how that sends on.",
                     mailer.name, mailer.field('P')),
         and_restart(the, fmt::format("take MAILER() of {} out of {} if nothing needs it",
                                      mailer.name, the.facts.files.mc()))});
  }
}

void check_queue_groups(const SendmailCase& the, Findings& found) {
  const auto& groups = the.config.queue_groups();
  const auto tell = [&](std::string_view where, std::string_view name, const std::string& path) {
    found.push_back(
        {"queue-group", Severity::Warning, Certainty::Certain, in_cf(the, where),
         "A message with several recipients has one envelope: when one of them bounces, a forced "
         "one that has to wait bounces with it.",
         add_line(the, fmt::format("QUEUE_GROUP(`{}', `P={}, F=f, r=1')dnl", name, path))});
  };
  const std::string usual = the.config.option("QueueDirectory").value_or("/var/spool/mqueue");
  // What has no group of its own is queued in mqueue (sendmail: op.me, queue groups).
  if (std::none_of(groups.begin(), groups.end(),
                   [](const SendmailEquates& group) { return group.name == "mqueue"; }))
    tell("Q lines", "mqueue", usual);
  for (const SendmailEquates& group : groups)
    if (number_of(group.field('r')) != 1)
      tell("Q" + group.name, group.name, group.field('P').empty() ? usual : group.field('P'));
}

void check_sendmail_bounces(const SendmailCase& the, Findings& found) {
  const auto line = [](const SendmailConfig& config) {
    return fmt::format("define(`confPRIVACY_FLAGS', `{}')dnl",
                       with_word(config.option("PrivacyOptions").value_or(""), kNoText));
  };
  if (!the.config.has_word("PrivacyOptions", kNoText))
    found.push_back({"bounce-bodies", Severity::Leak, Certainty::Certain,
                     in_cf(the, "O PrivacyOptions"),
                     "A bounce carries the text of the message, and may leave in clear.",
                     add_line(the, line(the.config))});
  if (the.facts.submit && !the.facts.submit->has_word("PrivacyOptions", kNoText))
    found.push_back(
        {"bounce-bodies", Severity::Leak, Certainty::Certain, "submit.cf: O PrivacyOptions",
         "A bounce that sendmail(1) makes carries the text of the message, and may leave in clear.",
         and_restart(the, fmt::format("add to {}, behind the line with FEATURE(`msp': {}",
                                      the.facts.files.submit_mc(), line(*the.facts.submit)))});
  const std::string warn = the.config.option("Timeout.queuewarn").value_or("4h");
  const std::string normal = the.config.option("Timeout.queuewarn.normal").value_or(warn);
  if (number_of(normal) == 0)
    found.push_back({"silent-deferral", Severity::Warning, Certainty::Certain,
                     in_cf(the, "O Timeout.queuewarn"),
                     "The sender of a message that waits hears nothing before it expires.",
                     add_line(the, "define(`confTO_QUEUEWARN', `4h')dnl")});
}

}  // namespace forcetls::doctor
