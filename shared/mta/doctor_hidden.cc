// The site's own TLS policy tables, which are asked after ours: Postfix takes the first answer for
// a key, so a row, a parent's row or the setting default_outbound hides what they say.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

/// An entry that forces TLS.
struct OwnEntry {
  std::string table, key;
  Level level;
  bool has_more = false;  ///< match= and the like, which a row would have to say too
};

bool is_ours(std::string_view table) {
  return is_our_map(table, "tls") || is_our_map(table, "default");
}

std::set<std::string> tables_of(const PostfixConfig& config, const PostfixService& service) {
  const auto tables = config.list(service, kPolicyMaps);
  auto table = std::find_if(tables.begin(), tables.end(),
                            [](const std::string& one) { return is_our_map(one, "tls"); });
  std::set<std::string> behind;
  for (; table != tables.end(); ++table)
    if (!is_ours(*table)) behind.insert(*table);
  return behind;
}

std::vector<OwnEntry> own_entries(const Case& the) {
  std::vector<OwnEntry> entries;
  for (const std::string& table : tables_behind_ours(the.config)) {
    const auto listed = the.facts.tables.find(table);
    if (listed == the.facts.tables.end()) continue;
    for (const TableEntry& entry : listed->second) {
      const auto blank = std::min(entry.value.find_first_of(" \t,"), entry.value.size());
      const auto level = level_from(std::string_view(entry.value).substr(0, blank));
      if (level && is_forced(*level))
        entries.push_back({table, entry.key, *level,
                           !without_blanks(std::string_view(entry.value).substr(blank)).empty()});
    }
  }
  return entries;
}

/// What our answer for `name` is weaker than, of what the entry demands there. Protocols and
/// ciphers are not compared.
bool is_weaker_than(const Case& the, std::string_view name, const OwnEntry& entry) {
  const auto key = NextHopKey::parse(name);
  if (!key) return false;
  const auto got = effective_requirement(the.policy, *key, the.now);
  // Without an answer of ours the entry counts.
  return got && !satisfies(got, Requirement{.level = entry.level,
                                            .match = {},
                                            .min_protocol = got->min_protocol,
                                            .ciphers = got->ciphers});
}

Finding hidden_entry(const Case& the, const OwnEntry& entry, std::string_view by,
                     Severity severity) {
  return {"hidden-entry",
          severity,
          Certainty::Certain,
          fmt::format("main.cf: {}: {}: {}", kPolicyMaps, entry.table, entry.key),
          fmt::format("It says {}, but forcetls is asked first, and {} answers less.",
                      to_text(entry.level), by),
          row_command_of_entry(the, entry.key, entry.level, entry.has_more)};
}

/// An entry for one name or next hop: the row for it, or for a domain above it, hides it.
void judge_name(const Case& the, const OwnEntry& entry, Findings& found) {
  const auto key = NextHopKey::parse(entry.key);
  if (!key) return;
  const auto rule = find_policy(the.policy, *key, the.now).rule;
  // Without a row the entry answers before default_outbound does, which is last.
  if (!rule || !is_weaker_than(the, entry.key, entry)) return;
  const bool is_its_own = rule->key == key->text;
  // Somebody has decided about that very name.
  found.push_back(hidden_entry(the, entry, fmt::format("the row of {}", rule->key),
                               is_its_own ? Severity::Warning : Severity::Leak));
}

/// An entry for all sub-domains: also what has an answer for each of them hides it.
void judge_sub_domains(const Case& the, const OwnEntry& entry, Findings& found) {
  const std::string sample = "forcetls-doctor." + entry.key.substr(1);
  if (!is_weaker_than(the, sample, entry)) return;
  const auto key = NextHopKey::parse(sample);
  const auto rule = find_policy(the.policy, *key, the.now).rule;
  const bool is_its_own = rule && rule->key == entry.key;
  found.push_back(hidden_entry(
      the, entry,
      rule ? fmt::format("the row of {}", rule->key) : std::string("the setting default_outbound"),
      is_its_own ? Severity::Warning : Severity::Leak));
}

}  // namespace

std::set<std::string> tables_behind_ours(const PostfixConfig& config) {
  std::set<std::string> tables;
  for (const PostfixService* service : config.services_of("smtp"))
    tables.merge(tables_of(config, *service));
  return tables;
}

std::vector<std::string> stricter_sub_domains(const Case& the) {
  std::vector<std::string> names;
  for (const OwnEntry& entry : own_entries(the)) {
    const std::string name = entry.key.starts_with('.') ? entry.key.substr(1) : entry.key;
    for (auto dot = name.find('.'); dot != name.npos; dot = name.find('.', dot + 1)) {
      const auto row = the.policy.find_rule(std::string_view(name).substr(dot + 1));
      if (row && !satisfies(row->outbound, Requirement{.level = entry.level,
                                                       .match = {},
                                                       .min_protocol = row->outbound.min_protocol,
                                                       .ciphers = row->outbound.ciphers}))
        names.emplace_back(row->key);
    }
  }
  return names;
}

void check_hidden_entries(const Case& the, Findings& found) {
  for (const OwnEntry& entry : own_entries(the))
    if (entry.key.starts_with('.'))
      judge_sub_domains(the, entry, found);
    else
      judge_name(the, entry, found);
}

}  // namespace forcetls::doctor
