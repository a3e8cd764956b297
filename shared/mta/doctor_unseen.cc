// Tables that could not be looked into: what they may hide has to be looked at by hand.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

void tell(const Case& the, std::string_view parameter, const std::string& table,
          const std::string& key, std::string_view what, Findings& found) {
  const std::string place = fmt::format("main.cf: {}: {}", parameter, table);
  found.push_back({"table-not-examined", Severity::Note, Certainty::Possible, place,
                   fmt::format("This table cannot be listed here. {}", what),
                   fmt::format("{} -q {} {}", with_config_directory(the, "postmap"),
                               shell_word(key), shell_word(table))});
}

/// A domain that is forced, or one that stands for it.
std::string some_domain(const Case& the) {
  for (const ForcedRow& row : the.forced)
    if (const auto address = sample_address(row.key); !address.empty())
      return address.substr(address.find('@') + 1);
  return "bank.example";
}

void tell_of_transports(const Case& the, Findings& found) {
  for (const std::string& table : the.config.list("transport_maps")) {
    if (the.facts.tables.contains(table) || is_our_map(table, "transport")) continue;
    tell(the, "transport_maps", table, "user@" + some_domain(the),
         "Where mail for the domains with rows goes has been asked of Postfix; routes of single "
         "users and of sub-domains have not been seen: each next hop needs a row of its own.",
         found);
  }
}

void tell_of_domains(const Case& the, Findings& found) {
  for (const std::string_view parameter : kDomainLists)
    for (const std::string& element : the.config.list(parameter)) {
      const bool is_file = element.starts_with('/');
      if (is_file ? the.facts.pattern_files.contains(element)
                  : !is_table(element) || the.facts.tables.contains(element) ||
                        the.facts.own_keys.contains(element))
        continue;
      if (is_file)
        found.push_back({"table-not-examined", Severity::Note, Certainty::Possible,
                         fmt::format("main.cf: {}: {}", parameter, element),
                         "This file cannot be read. Domains of your own that it names and that "
                         "have a row must be in the setting own_domains.",
                         "ls -l " + shell_word(element)});
      else
        tell(the, parameter, element, some_domain(the),
             "Domains of your own that it names and that have a row must be in the setting "
             "own_domains.",
             found);
    }
}

void tell_of_actions(const Case& the, Findings& found) {
  std::set<std::string> seen;
  for (const auto& [place, table] : action_tables(the.config)) {
    if (the.facts.actions.contains(table) || !seen.insert(table).second) continue;
    found.push_back(
        {"table-not-examined", Severity::Note, Certainty::Possible, place,
         "This table cannot be listed here. An action FILTER or BCC in it would send "
         "mail another way: its next hop or domain needs a row as strong.",
         fmt::format("{} -q KEY {}", with_config_directory(the, "postmap"), shell_word(table))});
  }
}

}  // namespace

void check_unseen_tables(const Case& the, Findings& found) {
  tell_of_transports(the, found);
  tell_of_domains(the, found);
  tell_of_actions(the, found);
}

}  // namespace forcetls::doctor
