// Does Postfix ask policyd, and before anybody else?
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "shared/core/ascii.h"
#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

constexpr std::string_view kLmtpMaps = "lmtp_tls_policy_maps";

bool has_map(const std::vector<std::string>& tables, std::string_view name) {
  return std::any_of(tables.begin(), tables.end(),
                     [name](const std::string& table) { return is_our_map(table, name); });
}

/// True where the site's own level is stricter than what the map default can answer.
bool has_stricter_level(const Case& the, const PostfixService* service) {
  constexpr std::string_view kLevel = "smtp_tls_security_level";
  return proves_more_than_defaults(service == nullptr ? the.config.value(kLevel)
                                                      : the.config.value(*service, kLevel));
}

/// The site's tables, with ours in front of them and, where it is no lowering, behind.
std::string with_our_maps(const Case& the, const Place& place) {
  std::string list(kTlsMap);
  for (const std::string& table : split_list(place.text))
    if (!is_our_map(table, "tls") && !is_our_map(table, "default")) list += ", " + table;
  if (!has_stricter_level(the, place.service)) list += ", " + std::string(kDefaultMap);
  return list;
}

/// True if the map `default` has an answer to anything.
bool default_answers(const Case& the) {
  for (const char* name : {"default_outbound", "unlisted_relay"}) {
    const auto setting = the.facts.settings.find(name);
    if (setting != the.facts.settings.end() && setting->second != "unset") return true;
  }
  return false;
}

/// True if a parameter that says where mail goes names this transport.
bool is_used(const Case& the, const PostfixService& service) {
  if (service.name == "smtp" || service.name == "relay") return true;
  const auto names_it = [&](std::string_view text) {
    return destination_in(text).transport == service.name;
  };
  for (const char* name : {"default_transport", "relay_transport", "content_filter"})
    if (names_it(the.config.value(name))) return true;
  for (const auto& [table, entries] : the.facts.tables)
    for (const TableEntry& entry : entries)
      if (names_it(entry.value)) return true;
  for (const auto& [table, actions] : the.facts.actions)
    for (const std::string& action : actions)
      if (names_it(argument_of(action, "FILTER"))) return true;
  return std::any_of(the.facts.routes.begin(), the.facts.routes.end(),
                     [&](const auto& route) { return route.second.transport == service.name; });
}

/// What a table's answer to `row`'s key means, if it is weaker than the row.
bool is_weaker(std::string_view answer, const Requirement& wanted) {
  const auto level = level_from(answer.substr(0, answer.find_first_of(" \t,")));
  if (!level) return false;  // Postfix defers on a word that it does not know.
  return !satisfies(Requirement{.level = *level,
                                .match = {},
                                .min_protocol = wanted.min_protocol,
                                .ciphers = wanted.ciphers},
                    wanted);
}

/// Keys of a listed table whose answers hide a forced row.
std::vector<std::string> hidden_by_entries(const Case& the,
                                           const std::vector<TableEntry>& entries) {
  std::vector<std::string> keys;
  for (const TableEntry& entry : entries) {
    const auto key = NextHopKey::parse(entry.key);
    if (!key) continue;
    const auto rule = find_policy(the.policy, *key, the.now).rule;
    if (rule && is_weaker(entry.value, rule->outbound)) keys.push_back(entry.key);
  }
  return keys;
}

std::vector<std::string> hidden_by_answers(const Case& the,
                                           const std::map<std::string, std::string>& answers) {
  std::vector<std::string> keys;
  for (const ForcedRow& row : the.forced) {
    const auto answer = answers.find(row.key);
    if (answer != answers.end() && is_weaker(answer->second, row.requirement))
      keys.push_back(row.key);
  }
  return keys;
}

std::vector<std::string> hidden_by(const Case& the, const std::string& table) {
  if (const auto listed = the.facts.tables.find(table); listed != the.facts.tables.end())
    return hidden_by_entries(the, listed->second);
  if (const auto asked = the.facts.policy_answers.find(table);
      asked != the.facts.policy_answers.end())
    return hidden_by_answers(the, asked->second);
  return {};
}

/// The level that an entry of smtp_tls_per_site asks for (postfix: smtp_tls_policy.c); nothing if
/// it does not force TLS.
std::optional<Level> level_of_site(std::string_view value) {
  if (equal_ignoring_case(value, "MUST")) return Level::Verify;
  if (equal_ignoring_case(value, "MUST_NOPEERMATCH")) return Level::Encrypt;
  return std::nullopt;
}

/// `command`, after one that makes rows of what the tables of smtp_tls_per_site force.
std::string with_rows_of_sites(const Case& the, const Place& place, const std::string& command) {
  std::string rows;
  std::set<std::string> seen;
  for (const std::string& table : split_list(place.value)) {
    const auto listed = the.facts.tables.find(table);
    if (listed == the.facts.tables.end()) continue;
    for (const TableEntry& entry : listed->second) {
      const auto level = level_of_site(entry.value);
      const auto key = NextHopKey::parse(entry.key);
      if (!level || !key || !is_plain_key(key->text) || !seen.insert(key->text).second) continue;
      if (has_row(the, key->text)) continue;
      rows += fmt::format("{}('{}', '{}')", rows.empty() ? "" : ", ", key->text, to_text(*level));
    }
  }
  if (rows.empty()) return command;
  return sql_command(the,
                     fmt::format("INSERT INTO domain_policy(domain, outbound) VALUES {}", rows)) +
         " && " + command;
}

/// The settings that only the map `default` brings into force.
void check_default_map(const Case& the, const Place& place, Findings& found) {
  // setup gives a service that asked no table the rows alone.
  if (place.service != nullptr || has_map(split_list(place.value), "default")) return;
  if (has_stricter_level(the, nullptr)) return;
  for (const char* name : {"default_outbound", "unlisted_relay"}) {
    const auto setting = the.facts.settings.find(name);
    if (setting == the.facts.settings.end() || setting->second == "unset") continue;
    found.push_back({"policy-map-missing", Severity::Leak, Certainty::Certain,
                     where(place, kPolicyMaps),
                     fmt::format("Postfix does not ask the map default, so the setting {} = {} has "
                                 "no effect.",
                                 name, setting->second),
                     set_command(the, place, kPolicyMaps, with_our_maps(the, place))});
    return;
  }
}

}  // namespace

void check_policy_maps(const Case& the, Findings& found) {
  for (const Place& place : places(the, {"smtp"}, kPolicyMaps)) {
    if (has_map(split_list(place.value), "tls")) {
      check_default_map(the, place, found);
      continue;
    }
    if (place.service == nullptr) {
      found.push_back({"policy-map-missing", Severity::Leak, Certainty::Certain,
                       where(place, kPolicyMaps),
                       "Postfix does not ask forcetls before it delivers: no row has any effect.",
                       set_command(the, place, kPolicyMaps, with_our_maps(the, place))});
      continue;
    }
    const bool used = is_used(the, *place.service);
    found.push_back({"service-policy-map", Severity::Leak,
                     used ? Certainty::Certain : Certainty::Possible, where(place, kPolicyMaps),
                     used ? "Mail that leaves by this transport never asks forcetls."
                          : "Nothing seen here sends mail by this transport, but whatever does "
                            "never asks forcetls.",
                     place.value.empty()
                         ? unset_command(the, place, kPolicyMaps)
                         : set_command(the, place, kPolicyMaps, with_our_maps(the, place))});
  }
}

void check_earlier_tables(const Case& the, Findings& found) {
  for (const Place& place : places(the, {"smtp"}, kPolicyMaps)) {
    const auto tables = split_list(place.value);
    if (!has_map(tables, "tls")) continue;
    for (const std::string& table : tables) {
      if (is_our_map(table, "tls")) break;
      if (is_our_map(table, "default")) continue;
      const auto hidden = hidden_by(the, table);
      const std::string what =
          hidden.empty()
              ? fmt::format("{} is asked before forcetls: what it answers hides a row.", table)
              : fmt::format(
                    "{} is asked before forcetls, and its weaker answer hides the row of {}.",
                    table, some_of(hidden));
      found.push_back({"policy-map-not-first", Severity::Leak,
                       hidden.empty() ? Certainty::Possible : Certainty::Certain,
                       where(place, kPolicyMaps), what,
                       set_command(the, place, kPolicyMaps, with_our_maps(the, place))});
    }
  }
}

void check_default_is_last(const Case& the, Findings& found) {
  for (const Place& place : places(the, {"smtp"}, kPolicyMaps)) {
    const auto tables = split_list(place.value);
    const auto ours = std::find_if(tables.begin(), tables.end(), [](const std::string& table) {
      return is_our_map(table, "default");
    });
    if (ours == tables.end() || ours + 1 == tables.end()) continue;
    found.push_back({"policy-map-not-first", default_answers(the) ? Severity::Leak : Severity::Note,
                     default_answers(the) ? Certainty::Likely : Certainty::Possible,
                     where(place, kPolicyMaps),
                     fmt::format("The map default is asked before {}: its answer hides a stricter "
                                 "one there.",
                                 *(ours + 1)),
                     set_command(the, place, kPolicyMaps, with_our_maps(the, place))});
  }
}

void check_hidden_level(const Case& the, Findings& found) {
  if (!default_answers(the)) return;
  std::set<std::string> said;
  for (const PostfixService* service : the.config.services_of("smtp")) {
    if (!has_map(the.config.list(*service, kPolicyMaps), "default") ||
        !has_stricter_level(the, service))
      continue;
    const bool is_own = service->options.contains(kPolicyMaps) ||
                        service->options.contains("smtp_tls_security_level");
    const std::string text(the.config.text_in_main_cf(kPolicyMaps));
    const Place place = is_own ? Place{service, the.config.value(*service, kPolicyMaps),
                                       the.config.value(*service, kPolicyMaps)}
                               : Place{nullptr, the.config.value(kPolicyMaps), text};
    if (!said.insert(where(place, kPolicyMaps)).second) continue;
    found.push_back({"security-level", Severity::Warning, Certainty::Certain,
                     where(place, kPolicyMaps),
                     fmt::format("The map default answers encrypt for domains without a row, which "
                                 "is less than smtp_tls_security_level = {}.",
                                 the.config.value(*service, "smtp_tls_security_level")),
                     set_command(the, place, kPolicyMaps, with_our_maps(the, place))});
  }
}

void check_lmtp_maps(const Case& the, Findings& found) {
  for (const Place& place : places(the, {"lmtp"}, kLmtpMaps)) {
    if (has_map(split_list(place.value), "lmtp")) continue;
    const bool used =
        std::any_of(the.facts.routes.begin(), the.facts.routes.end(), [&](const auto& route) {
          const PostfixService* service = service_of_transport(the, route.second.transport);
          return service != nullptr && service->program == "lmtp" &&
                 !is_this_host(the, route.second.next_hop);
        });
    std::string list(kLmtpMap);
    if (!without_blanks(place.text).empty()) list += ", " + place.text;
    found.push_back({"lmtp-policy-map", used ? Severity::Leak : Severity::Note,
                     used ? Certainty::Certain : Certainty::Possible, where(place, kLmtpMaps),
                     used ? "Mail for a forced domain leaves by LMTP, which does not ask forcetls."
                          : "LMTP deliveries to other hosts would not ask forcetls; none was seen.",
                     set_command(the, place, kLmtpMaps, list)});
  }
}

void check_level(const Case& the, Findings& found) {
  for (const Place& place : places(the, {"smtp"}, "smtp_tls_security_level")) {
    if (!place.value.empty() && place.value != "none") continue;
    const auto old_switch = [&](std::string_view name) {
      return is_yes(place.service == nullptr ? the.config.value(name)
                                             : the.config.value(*place.service, name));
    };
    // smtp_use_tls and smtp_enforce_tls count only while the level is empty.
    if (place.value.empty() && (old_switch("smtp_use_tls") || old_switch("smtp_enforce_tls")))
      continue;
    found.push_back({"security-level", Severity::Note, Certainty::Certain,
                     where(place, "smtp_tls_security_level"),
                     "Mail to domains without a row leaves in clear even where TLS is offered.",
                     set_command(the, place, "smtp_tls_security_level", "may")});
  }
}

void check_per_site(const Case& the, Findings& found) {
  for (const Place& place : places(the, {"smtp"}, "smtp_tls_per_site"))
    if (!place.value.empty())
      found.push_back(
          {"per-site-ignored", Severity::Warning, Certainty::Certain,
           where(place, "smtp_tls_per_site"),
           "Postfix ignores this table as soon as there are policy maps: what it says "
           "MUST is no longer enforced. Its domains need rows; an entry for a server "
           "needs rows for the domains that it serves.",
           with_rows_of_sites(the, place, unset_command(the, place, "smtp_tls_per_site"))});
}

}  // namespace forcetls::doctor
