// Tables by which this host makes another address of a recipient's, before anybody is asked.
#include <fmt/format.h>

#include "shared/mta/sendmail_case.h"
#include "shared/mta/sendmail_domain.h"

namespace forcetls::doctor {
namespace {

/// From which domain to which an entry leads; an empty one: to none of another host.
struct Redirection {
  std::string_view from, to;
};

std::string_view behind_at(std::string_view address) {
  const auto at = address.rfind('@');
  return at == address.npos ? std::string_view{} : address.substr(at + 1);
}

Redirection redirection_of(std::string_view table, const TableEntry& entry) {
  if (table == "domaintable") return {entry.key, entry.value};
  const std::string_view from = table == "virtuser" ? behind_at(entry.key) : entry.key;
  return {from, behind_at(entry.value)};
}

bool is_unforced(const SendmailCase& the, std::string_view domain) {
  const auto key = NextHopKey::parse(domain.starts_with('.') ? domain.substr(1) : domain);
  return key && sendmail_answer(the.policy, *key, the.now) == "OK NONE";
}

}  // namespace

void check_redirections(const SendmailCase& the, Findings& found) {
  for (const auto& [table, entries] : the.facts.tables)
    for (const TableEntry& entry : entries) {
      const auto [from, to] = redirection_of(table, entry);
      if (from.empty() || to.empty() || entry.value.starts_with("error:")) continue;
      if (is_unforced(the, from) || !is_unforced(the, to)) continue;
      found.push_back({"recipients-redirected", Severity::Leak, Certainty::Certain,
                       fmt::format("K{}: {}", table, entry.key),
                       fmt::format("Mail to {}, which is forced, goes to {} instead, and {} has no "
                                   "row: it may leave in clear.",
                                   from, entry.value, to),
                       fmt::format("sqlite3 {} \"INSERT INTO domain_policy(domain, outbound) "
                                   "VALUES ('{}', 'encrypt')\"",
                                   the.facts.policy.path, to)});
    }
}

}  // namespace forcetls::doctor
