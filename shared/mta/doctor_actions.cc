// Access tables and header checks: the actions in them, and FILTER, which sends single messages
// another way than main.cf's own parameters say.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "shared/core/ascii.h"
#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

constexpr std::array<std::string_view, 7> kRestrictionLists{
    "smtpd_client_restrictions",     "smtpd_helo_restrictions",      "smtpd_sender_restrictions",
    "smtpd_relay_restrictions",      "smtpd_recipient_restrictions", "smtpd_data_restrictions",
    "smtpd_end_of_data_restrictions"};
constexpr std::array<std::string_view, 5> kHeaderChecks{"header_checks", "mime_header_checks",
                                                        "nested_header_checks", "body_checks",
                                                        "milter_header_checks"};

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

void add(std::vector<PlacedTable>& tables, const PostfixService* service,
         std::string_view parameter, std::string table) {
  const std::string place = where({service, {}, {}}, parameter) + ": " + table;
  if (std::none_of(tables.begin(), tables.end(),
                   [&](const PlacedTable& known) { return known.where == place; }))
    tables.push_back({place, std::move(table)});
}

/// The tables that one list names: in restrictions what follows check_..._access.
void add_list(const PostfixConfig& config, const PostfixService* service,
              std::string_view parameter, bool is_restrictions, std::vector<PlacedTable>& tables) {
  const auto list = service == nullptr ? config.list(parameter) : config.list(*service, parameter);
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!is_table(list[i])) continue;
    // An old way of writing is the table alone.
    const bool is_access =
        i == 0 || !list[i - 1].starts_with("check_") || (list[i - 1].ends_with("_access"));
    if (!is_restrictions || is_access) add(tables, service, parameter, list[i]);
  }
}

void add_parameter(const PostfixConfig& config, std::string_view program,
                   std::string_view parameter, bool is_restrictions,
                   std::vector<PlacedTable>& tables) {
  // Where main.cf does not set it, mime_header_checks and others are header_checks once more.
  if (config.is_set(parameter)) add_list(config, nullptr, parameter, is_restrictions, tables);
  for (const PostfixService* service : config.services_of(program))
    if (service->options.contains(parameter))
      add_list(config, service, parameter, is_restrictions, tables);
}

bool is_action(std::string_view text, std::string_view action) {
  return text.size() > action.size() &&
         (text[action.size()] == ' ' || text[action.size()] == '\t') &&
         equal_ignoring_case(text.substr(0, action.size()), action);
}

/// What follows "/pattern/flags" or, in a cidr table, the network; empty: a line without a result.
std::string_view result_in(std::string_view line, bool is_cidr) {
  std::size_t end = 0;
  if (!is_cidr) {
    if (line.starts_with('!')) line.remove_prefix(1);
    if (line.empty() || is_letter_or_digit(line.front())) return {};  // if and endif
    for (end = 1; end < line.size() && line[end] != line.front(); ++end)
      if (line[end] == '\\') ++end;
  }
  const auto blank = line.find_first_of(" \t", std::min(end, line.size()));
  return blank == line.npos ? std::string_view() : without_blanks(line.substr(blank));
}

}  // namespace

std::string inline_rules(std::string_view name) {
  if (!name.starts_with('{')) return {};
  std::string lines;
  for (std::string_view rule : inside_braces(name)) {
    if (rule.starts_with('{') && rule.ends_with('}')) rule = rule.substr(1, rule.size() - 2);
    lines += std::string(without_blanks(rule)) + "\n";
  }
  return lines;
}

std::vector<std::string> results_in(std::string_view text, bool is_cidr) {
  std::vector<std::string> logical_lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view words = without_blanks(line);
    if (words.empty() || words.front() == '#') continue;
    const bool goes_on = line.front() == ' ' || line.front() == '\t';
    if (goes_on && !logical_lines.empty())
      logical_lines.back() += " " + std::string(words);
    else
      logical_lines.emplace_back(words);
  }
  std::vector<std::string> results;
  for (const std::string& line : logical_lines)
    if (const auto result = result_in(line, is_cidr); !result.empty()) results.emplace_back(result);
  return results;
}

std::vector<PlacedTable> action_tables(const PostfixConfig& config) {
  std::vector<PlacedTable> tables;
  for (const std::string_view parameter : kRestrictionLists)
    add_parameter(config, "smtpd", parameter, true, tables);
  for (const std::string& restriction_class : config.list("smtpd_restriction_classes"))
    add_parameter(config, "smtpd", restriction_class, true, tables);
  for (const std::string_view parameter : kHeaderChecks)
    add_parameter(config, "cleanup", parameter, false, tables);
  return tables;
}

std::string_view argument_of(std::string_view text, std::string_view action) {
  if (!is_action(text, action)) return {};
  return without_blanks(text.substr(action.size()));
}

void check_actions(const Case& the, Findings& found) {
  for (const auto& [place, table] : action_tables(the.config)) {
    const auto actions = the.facts.actions.find(table);
    if (actions == the.facts.actions.end()) continue;
    for (const std::string& action : actions->second)
      judge_filter_action(the, place, argument_of(action, "FILTER"), found);
  }
}

}  // namespace forcetls::doctor
