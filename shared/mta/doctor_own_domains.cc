// Are this host's own domains in the setting own_domains? Mail for them may come in clear.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

/// Above so many only those that have a row are told of: nothing happens to the others.
constexpr std::size_t kMostTold = 200;

void add_name(std::set<std::string>& domains, std::string_view text) {
  if (text.find_first_of(":/=!@") != text.npos) return;
  const auto key = NextHopKey::parse(text);
  // Tables and files are not always root's, and no row can name a domain of other characters.
  if (!key || !is_plain_key(key->text)) return;
  if (key->kind != KeyKind::Name || key->text.find('.') == std::string::npos ||
      key->text == "localhost.localdomain")
    return;
  domains.insert(key->text);
}

void add_table(const Case& the, const std::string& table, std::set<std::string>& domains) {
  const auto listed = the.facts.tables.find(table);
  if (listed != the.facts.tables.end())
    for (const TableEntry& entry : listed->second) add_name(domains, entry.key);
  const auto asked = the.facts.own_keys.find(table);
  if (asked != the.facts.own_keys.end())
    for (const std::string& key : asked->second) add_name(domains, key);
}

/// Domains that main.cf names as this host's, by itself or by a table or file.
std::set<std::string> domains_of_this_host(const Case& the) {
  std::set<std::string> domains;
  for (const std::string_view parameter : kOwnDomainLists)
    for (const std::string& element : the.config.list(parameter)) {
      const auto file = the.facts.pattern_files.find(element);
      if (file != the.facts.pattern_files.end())
        for (const std::string& pattern : patterns_in(file->second)) add_name(domains, pattern);
      add_table(the, element, domains);
      add_name(domains, element);
    }
  return domains;
}

}  // namespace

void check_own_domains(const Case& the, Findings& found) {
  std::vector<std::string> missing, forced;
  for (const std::string& domain : domains_of_this_host(the)) {
    if (the.policy.settings().is_own(domain)) continue;
    missing.push_back(domain);
    const auto rule = find_policy(the.policy, {KeyKind::Name, domain}, the.now).rule;
    if (rule && is_forced(rule->outbound.level)) forced.push_back(domain);
  }
  if (missing.size() > kMostTold) missing = forced;
  if (missing.empty()) return;
  std::vector<std::string> all = the.policy.settings().own_domains;
  all.insert(all.end(), missing.begin(), missing.end());
  const bool stops =
      !forced.empty() && the.policy.settings().clear_submission == ClearSubmission::Tempfail;
  found.push_back(
      {"own-domains", stops ? Severity::Warning : Severity::Note, Certainty::Certain,
       "policy.db: setting own_domains",
       stops
           ? fmt::format("{} is your own and has a forcing row: mail that others send you in clear "
                         "is refused, which RFC 3207 does not allow.",
                         some_of(forced))
           : fmt::format("{} is your own and not listed: with a row for it, mail that others send "
                         "you in clear would be refused.",
                         some_of(missing)),
       setting_command(the, "own_domains", with_blanks(all))});
}

}  // namespace forcetls::doctor
