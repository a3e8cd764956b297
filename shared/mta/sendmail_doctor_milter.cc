// The milter, and what it must be told.
#include <fmt/format.h>

#include <set>

#include "shared/mta/doctor_case.h"
#include "shared/mta/sendmail_case.h"

namespace forcetls::doctor {
namespace {

constexpr std::string_view kMilterLine =
    "INPUT_MAIL_FILTER(`forcetls', `S=unix:/run/forcetls/milter.sock, F=T, T=S:4m;R:4m;E:10m')dnl";

/// The milter line that is ours among those named, or nullptr.
const SendmailEquates* our_milter(const SendmailCase& the, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const SendmailEquates* milter = the.config.milter(name);
    if (milter == nullptr) continue;
    const std::string address = our_spelling_of(milter->field('S'));
    if (the.facts.our_addresses.contains(address) || address.ends_with("forcetls/milter.sock"))
      return milter;
  }
  return nullptr;
}

std::string words_of(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

}  // namespace

void check_sendmail_milters(const SendmailCase& the, Findings& found) {
  for (const std::string& name : the.config.all_input_milters()) {
    const SendmailEquates* milter = the.config.milter(name);
    if (milter == nullptr || is_loopback_address(our_spelling_of(milter->field('S')))) continue;
    found.push_back({"milter-elsewhere", Severity::Leak, Certainty::Certain, in_cf(the, "X" + name),
                     fmt::format("Every message goes in clear to {}: the milter protocol has no "
                                 "TLS.",
                                 milter->field('S')),
                     and_restart(the, fmt::format("name in {} a milter, or a tunnel's end, on this "
                                                  "host",
                                                  the.facts.files.mc()))});
  }
  for (const DaemonMilters& daemon : the.config.daemon_milters())
    if (our_milter(the, daemon.milters) == nullptr)
      found.push_back(
          {"milter-missing", Severity::Warning, Certainty::Certain,
           in_cf(the, fmt::format("O DaemonPortOptions {}", daemon.daemon)),
           "This daemon has a list of milters of its own, and forcetls-milter is not in it: what "
           "the inbound rules refuse comes in there.",
           and_restart(the, fmt::format("name forcetls in InputMailFilters of that DAEMON_OPTIONS "
                                        "in {}, or take the list out",
                                        the.facts.files.mc()))});
  const SendmailEquates* ours = our_milter(the, the.config.input_milters());
  if (ours == nullptr) {
    found.push_back({"milter-missing", Severity::Warning, Certainty::Certain,
                     in_cf(the, "O InputMailFilters"),
                     "forcetls-milter is not asked: what the inbound rules refuse comes in, and "
                     "clients are not told early. Delivery still waits.",
                     add_line(the, kMilterLine)});
    return;
  }
  if (ours->field('F').find('T') != std::string::npos) return;
  found.push_back({"milter-flag", Severity::Warning, Certainty::Certain,
                   in_cf(the, "X" + ours->name),
                   ours->field('F').find('R') == std::string::npos
                       ? "Without F=T mail comes in unjudged while the milter does not answer."
                       : "With F=R mail is refused for good while the milter does not answer.",
                   add_line(the, kMilterLine)});
}

void check_client_certificates(const SendmailCase& the, Findings& found) {
  const std::string options = the.config.option("TLSSrvOptions").value_or("");
  if (options.find('V') == options.npos || !the.checks_inbound_certificates()) return;
  found.push_back(
      {"client-certificates", Severity::Warning, Certainty::Certain, in_cf(the, "O TLSSrvOptions"),
       "With V Sendmail asks no client for a certificate: mail to which a row of "
       "inbound verify applies is refused.",
       and_restart(the,
                   fmt::format("take V out of confTLS_SRV_OPTIONS in {}", the.facts.files.mc()))});
}

void check_enforcing_mailers(const SendmailCase& the, Findings& found) {
  std::vector<std::string> missing;
  std::vector<std::string> all = the.policy.settings().enforcing_transports;
  std::set<std::string_view> listed{"local", "prog"};
  listed.insert(all.begin(), all.end());
  for (const SendmailEquates& mailer : the.config.mailers())
    if (is_network_mailer(mailer) && listed.insert(mailer.name).second)
      missing.push_back(mailer.name);
  if (missing.empty()) return;
  all.insert(all.end(), missing.begin(), missing.end());
  found.push_back(
      {"enforcing-transports", Severity::Note, Certainty::Certain,
       "policy.db: setting enforcing_transports",
       fmt::format("{} asks forcetls too but is not listed: the milter refuses forced mail that is "
                   "routed by it.",
                   words_of(missing)),
       fmt::format("sqlite3 {} \"UPDATE setting SET value = '{}' WHERE name = "
                   "'enforcing_transports'\"",
                   shell_word(the.facts.policy.path), words_of(all))});
}

}  // namespace forcetls::doctor
