// Tables by which this host makes another address of a recipient's, before anybody is asked.
#include <fmt/format.h>

#include <set>

#include "shared/core/verdict.h"
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

/// For ".bank.example" one below it.
Result<NextHopKey> key_of(std::string_view domain) {
  return NextHopKey::parse(domain.starts_with('.') ? "x" + std::string(domain) : domain);
}

bool is_forced(const SendmailCase& the, std::string_view domain) {
  const auto key = key_of(domain);
  return key && is_forced_recipient(the.policy, *key, the.now);
}

/// Whether mail to it may leave this host in clear.
bool is_free(const SendmailCase& the, const NextHopKey& domain) {
  return domain.text != "localhost" && !the.config.class_members("w").contains(domain.text) &&
         sendmail_answer(the.policy, domain, the.now) == "OK NONE";
}

}  // namespace

void check_redirections(const SendmailCase& the, Findings& found) {
  std::set<std::string> told;
  for (const auto& [table, entries] : the.facts.tables)
    for (const TableEntry& entry : entries) {
      const auto [from, to] = redirection_of(table, entry);
      if (from.empty() || to.empty() || entry.value.starts_with("error:")) continue;
      const auto key = NextHopKey::parse(to);
      if (!is_forced(the, from) || !key || !is_free(the, *key)) continue;
      // Of a domain with 50,000 users one is enough.
      if (!told.insert(fmt::format("{} {} {}", table, from, key->text)).second) continue;
      found.push_back({"recipients-redirected", Severity::Leak, Certainty::Certain,
                       fmt::format("K{}: {}", table, entry.key),
                       fmt::format("Mail to {}, which is forced, goes to {} instead, and no row "
                                   "forces {}: it may leave in clear.",
                                   from, entry.value, key->text),
                       fmt::format("sqlite3 {} \"INSERT INTO domain_policy(domain, outbound) "
                                   "VALUES ('{}', 'encrypt')\"",
                                   the.facts.policy.path, key->text)});
    }
}

}  // namespace forcetls::doctor
