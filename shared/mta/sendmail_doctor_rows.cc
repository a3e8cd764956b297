// Rows that Sendmail cannot keep, and what it needs to keep the others.
#include <fmt/format.h>

#include "shared/mta/sendmail_case.h"

namespace forcetls::doctor {

void check_rows(const SendmailCase& the, Findings& found) {
  constexpr std::string_view kRefusal = "TEMP ";
  for (const SendmailRow& row : the.rows) {
    if (!row.answer.starts_with(kRefusal)) continue;
    found.push_back(
        {"row-refused", Severity::Warning, Certainty::Certain,
         fmt::format("policy.db: {}", row.key),
         fmt::format("{}. Nothing is lowered: all mail there waits.",
                     row.answer.substr(kRefusal.size())),
         fmt::format("sqlite3 {} \"UPDATE domain_policy SET outbound = ..., match = ... "
                     "WHERE domain = '{}'\"",
                     the.facts.policy.path, row.key)});
  }
}

void check_certificates(const SendmailCase& the, Findings& found) {
  const auto severity = the.wants_certificates() ? Severity::Warning : Severity::Note;
  const auto tell = [&](std::string_view option, std::string_view line, std::string_view what) {
    found.push_back({"ca-store", severity, Certainty::Certain, in_cf(the, option),
                     fmt::format("{}: no certificate is valid, and mail to rows of level verify "
                                 "and secure waits.",
                                 what),
                     add_line(the, line)});
  };
  const auto judge = [&](const char* option, std::string_view line) {
    const std::string value = the.config.option(option).value_or("");
    if (value.empty())
      tell(fmt::format("O {}", option), line, "It is not set");
    else if (the.facts.missing_files.contains(value))
      tell(fmt::format("O {}", option), line, fmt::format("{} is missing or empty", value));
  };
  judge("CACertFile", "define(`confCACERT', `/etc/ssl/certs/ca-certificates.crt')dnl");
  judge("CACertPath", "define(`confCACERT_PATH', `/etc/ssl/certs')dnl");
}

void check_next_hops(const SendmailCase& the, Findings& found) {
  const auto tell = [&](std::string_view where, std::string_view next_hop) {
    found.push_back(
        {"next-hop", Severity::Note, Certainty::Possible, in_cf(the, where),
         fmt::format("Mail goes by way of {}. A row holds for the recipient's domain, whichever "
                     "way mail takes: at level verify the certificate of that host must name it, "
                     "and at a match the name there.",
                     next_hop),
         "forcetls check DOMAIN"});
  };
  if (!the.has_forced_rows()) return;
  if (const std::string host = the.config.macro("S"); !host.empty()) tell("DS", host);
  if (const auto host = the.config.option("FallbackSmartHost"); host && !host->empty())
    tell("O FallbackSmartHost", *host);
  if (const auto host = the.config.option("FallbackMXhost"); host && !host->empty())
    tell("O FallbackMXhost", *host);
  if (const SendmailMap* table = the.config.map("mailertable"))
    tell("Kmailertable", table->arguments);
}

}  // namespace forcetls::doctor
