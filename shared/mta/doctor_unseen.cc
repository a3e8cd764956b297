// Tables that could not be looked into: what they may hide has to be looked at by hand.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

std::string lookup_command(const Case& the, const std::string& key, const std::string& table) {
  return fmt::format("{} -q {} {}", with_config_directory(the, "postmap"), shell_word(key),
                     shell_word(table));
}

void tell(const std::string& place, std::string_view what, const std::string& command,
          Findings& found) {
  found.push_back({"table-not-examined", Severity::Note, Certainty::Possible, place,
                   std::string(what), command});
}

/// A domain that is forced, or one that stands for it.
std::string some_domain(const Case& the) {
  for (const ForcedRow& row : the.forced)
    if (const auto address = sample_address(row.key); !address.empty())
      return address.substr(address.find('@') + 1);
  return "bank.example";
}

void tell_of_transports(const Case& the, Findings& found) {
  for (const auto& [place, table] : routing_tables(the, "transport_maps")) {
    if (the.facts.tables.contains(table) || is_our_map(table, "transport")) continue;
    tell(place,
         "This table cannot be listed here. Where mail for the domains with rows goes has been "
         "asked of Postfix; routes of single users and of sub-domains have not been seen: each "
         "next hop needs a row of its own.",
         lookup_command(the, "user@" + some_domain(the), table), found);
  }
}

void tell_of_domains(const Case& the, Findings& found) {
  constexpr std::string_view kWhat =
      "This cannot be read here. Domains of your own that it names and that have a row must be in "
      "the setting own_domains.";
  for (const std::string_view parameter : kOwnDomainLists)
    for (const std::string& element : the.config.list(parameter)) {
      const std::string place = fmt::format("main.cf: {}: {}", parameter, element);
      const bool is_file = element.starts_with('/');
      if (is_file && !the.facts.pattern_files.contains(element))
        tell(place, kWhat, "ls -l " + shell_word(element), found);
      if (is_table(element) && !the.facts.tables.contains(element) &&
          !the.facts.own_keys.contains(element))
        tell(place, kWhat, lookup_command(the, some_domain(the), element), found);
    }
}

void tell_of_actions(const Case& the, Findings& found) {
  std::set<std::string> seen;
  for (const auto& [place, table] : action_tables(the.config)) {
    if (the.facts.actions.contains(table) || !seen.insert(table).second) continue;
    tell(
        place,
        "This table cannot be listed here. An action FILTER, BCC or REDIRECT in it would send mail "
        "another way: its next hop or domain needs a row as strong.",
        lookup_command(the, "KEY", table), found);
  }
}

void tell_of_keywords(const Case& the, Findings& found) {
  constexpr std::string_view kMaps = "smtp_discard_ehlo_keyword_address_maps";
  for (const Place& place : places(the, {"smtp"}, kMaps))
    for (const std::string& table : split_list(place.value))
      if (!the.facts.actions.contains(table))
        tell(
            fmt::format("{}: {}", where(place, kMaps), table),
            "This table cannot be listed here. Mail for a forced domain waits if it takes STARTTLS "
            "from its servers.",
            lookup_command(the, "192.0.2.1", table), found);
}

}  // namespace

void check_unseen_tables(const Case& the, Findings& found) {
  tell_of_transports(the, found);
  tell_of_domains(the, found);
  tell_of_actions(the, found);
  tell_of_keywords(the, found);
}

}  // namespace forcetls::doctor
