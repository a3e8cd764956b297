#include "shared/mta/doctor_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "shared/core/ascii.h"
#include "shared/mta/service_command.h"

namespace forcetls::doctor {
namespace {

/// Demands that no hop's row could tell apart.
bool same_demand(const Requirement& a, const Requirement& b) {
  return satisfies(a, b) && satisfies(b, a);
}

/// postconf -P takes no blanks: the list's elements behind each other with commas.
std::optional<std::string> without_inner_blanks(std::string_view value) {
  std::string text;
  for (const std::string& element : split_list(value)) {
    if (element.find_first_of(" \t") != element.npos) return std::nullopt;
    if (!text.empty()) text += ',';
    text += element;
  }
  return text;
}

}  // namespace

Case make_case(const PostfixConfig& config, const RuleStore& policy, const HostFacts& facts,
               TimePoint now) {
  Case the{config, policy, facts, now, {}, {}, 0};
  policy.for_each_rule([&the](const Rule& rule) {
    // A suspension ends by itself: what the row says counts.
    if (rule.mode != Mode::Enforce || !is_forced(rule.outbound.level)) return;
    ++the.forced_count;
    if (the.forced.size() < kMostExaminedRows)
      the.forced.push_back({std::string(rule.key), rule.outbound});
    const bool known =
        std::any_of(the.needs.begin(), the.needs.end(),
                    [&](const Requirement& need) { return same_demand(need, rule.outbound); });
    if (!known) the.needs.push_back(rule.outbound);
  });
  if (the.needs.empty()) the.needs.push_back({.level = Level::Encrypt});
  return the;
}

std::vector<Place> places(const Case& the, std::initializer_list<std::string_view> programs,
                          std::string_view parameter) {
  const std::string common = the.config.value(parameter);
  std::vector<Place> found;
  bool main_cf_decides = false;
  for (const PostfixService& service : the.config.services()) {
    if (std::find(programs.begin(), programs.end(), service.program) == programs.end()) continue;
    const auto option = service.options.find(parameter);
    std::string value = the.config.value(service, parameter);
    if (option == service.options.end() && value == common) {
      main_cf_decides = true;
      continue;
    }
    std::string text = option == service.options.end() ? value : option->second;
    found.push_back({&service, std::move(value), std::move(text)});
  }
  if (main_cf_decides || found.empty()) {
    const auto text = the.config.text_in_main_cf(parameter);
    found.insert(found.begin(), {nullptr, common, text.empty() ? common : std::string(text)});
  }
  return found;
}

std::string value_at(const Case& the, const Place& place, std::string_view parameter) {
  return place.service == nullptr ? the.config.value(parameter)
                                  : the.config.value(*place.service, parameter);
}

std::string where(const Place& place, std::string_view parameter) {
  if (place.service == nullptr) return fmt::format("main.cf: {}", parameter);
  return fmt::format("master.cf: {}: -o {}", place.service->label(), parameter);
}

std::string shell_word(std::string_view text) {
  if (!text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                              "0123456789_-./:=,@%+") == text.npos)
    return std::string(text);
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'')
      result += "'\\''";
    else
      result += c;
  }
  return result + "'";
}

std::string with_config_directory(const Case& the, std::string_view program) {
  if (the.facts.config_directory.empty()) return std::string(program);
  return fmt::format("{} -c {}", program, shell_word(the.facts.config_directory));
}

std::string with_reload(const Case& the, const std::string& command) {
  if (!the.facts.is_running) return command;
  return fmt::format("{} && {} reload", command, with_config_directory(the, "postfix"));
}

std::string set_command(const Case& the, const Place& place, std::string_view parameter,
                        std::string_view value) {
  const std::string postconf = with_config_directory(the, "postconf");
  if (place.service == nullptr)
    return with_reload(
        the, fmt::format("{} -e {}", postconf, shell_word(fmt::format("{}={}", parameter, value))));
  const auto compact = without_inner_blanks(value);
  if (!compact)
    return with_reload(
        the, fmt::format("{} -F {}", postconf,
                         shell_word(place.service->label() + "/command=" +
                                    with_options(place.service->command,
                                                 {{std::string(parameter), std::string(value)}}))));
  return with_reload(the, fmt::format("{} -P {}", postconf,
                                      shell_word(fmt::format("{}/{}={}", place.service->label(),
                                                             parameter, *compact))));
}

std::string unset_command(const Case& the, const Place& place, std::string_view parameter) {
  const std::string postconf = with_config_directory(the, "postconf");
  if (place.service == nullptr)
    return with_reload(the, fmt::format("{} -X {}", postconf, parameter));
  // Another parameter, which this one names, is the service's own.
  if (!place.service->options.contains(parameter))
    return set_command(the, place, parameter, the.config.value(parameter));
  return with_reload(
      the, fmt::format("{} -PX {}", postconf,
                       shell_word(fmt::format("{}/{}", place.service->label(), parameter))));
}

std::string setup_command(const Case& the) {
  std::string command = "forcetls setup --apply";
  if (!the.facts.config_directory.empty())
    command += " --config-dir " + shell_word(the.facts.config_directory);
  if (!the.facts.policy.is_usual) command += " --policy-db " + shell_word(the.facts.policy.path);
  return command;
}

std::string sql_command(const Case& the, const std::string& sql) {
  // In double quotes the shell would run what these begin.
  if (sql.find_first_of("\"$`\\") != sql.npos) return setup_command(the);
  return fmt::format("sqlite3 {} \"{}\"", shell_word(the.facts.policy.path), sql);
}

std::string setting_command(const Case& the, std::string_view name, std::string_view value) {
  std::string quoted;
  for (const char c : value) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return sql_command(
      the, fmt::format("UPDATE setting SET value = '{}' WHERE name = '{}'", quoted, name));
}

bool is_our_map(std::string_view table, std::string_view name) {
  if (table.starts_with("proxy:")) table.remove_prefix(6);
  if (!table.starts_with("socketmap:")) return false;
  const std::string_view last = table.substr(table.rfind(':') + 1);
  return last == name || (name == "tls" && last == "forced");
}

std::string socket_of_map(std::string_view table) {
  if (table.starts_with("proxy:")) table.remove_prefix(6);
  if (table.starts_with("socketmap:")) table.remove_prefix(10);
  return std::string(table.substr(0, table.rfind(':')));
}

std::string address_in(std::string_view element) {
  const auto parts = inside_braces(element);
  return parts.empty() ? std::string() : parts.front();
}

bool is_our_socket(std::string_view address, const std::set<std::string>& our_addresses) {
  return address.find("forcetls") != address.npos || our_addresses.contains(std::string(address));
}

std::optional<PolicyService> our_policy_service(const std::vector<std::string>& restrictions,
                                                const std::set<std::string>& our_addresses) {
  for (std::size_t i = 0; i + 1 < restrictions.size(); ++i)
    if (equal_ignoring_case(restrictions[i], "check_policy_service") &&
        is_our_socket(address_in(restrictions[i + 1]), our_addresses))
      return PolicyService{i, restrictions[i + 1]};
  return std::nullopt;
}

std::optional<std::string> our_milter(const std::vector<std::string>& milters,
                                      const std::set<std::string>& our_addresses) {
  for (const std::string& milter : milters)
    if (is_our_socket(address_in(milter), our_addresses)) return milter;
  return std::nullopt;
}

std::string option_in(std::string_view element, std::string_view name) {
  for (const std::string& part : inside_braces(element)) {
    std::string_view option = part;
    if (option.starts_with('{') && option.ends_with('}'))
      option = option.substr(1, option.size() - 2);
    const auto equals = option.find('=');
    if (equals == option.npos || without_blanks(option.substr(0, equals)) != name) continue;
    return std::string(without_blanks(option.substr(equals + 1)));
  }
  return {};
}

bool asks_policyd(const Case& the, const PostfixService& service) {
  const auto tables = the.config.list(
      service, service.program == "lmtp" ? "lmtp_tls_policy_maps" : "smtp_tls_policy_maps");
  const std::string_view name = service.program == "lmtp" ? "lmtp" : "tls";
  return std::any_of(tables.begin(), tables.end(),
                     [name](const std::string& table) { return is_our_map(table, name); });
}

bool is_loopback_listener(const Case& the, const PostfixService& service) {
  if (service.type != "inet") return false;
  const auto colon = service.name.rfind(':');
  if (colon != service.name.npos) return stays_here(service.name);
  return equal_ignoring_case(the.config.value(service, "inet_interfaces"), "loopback-only");
}

bool is_table(std::string_view element) {
  const auto colon = element.find(':');
  return colon != element.npos && element.find_first_of("[/!") > colon;
}

std::string with_blanks(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t kNamed = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kNamed); ++i)
    text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kNamed) text += fmt::format(" and {} more", names.size() - kNamed);
  return text;
}

}  // namespace forcetls::doctor
