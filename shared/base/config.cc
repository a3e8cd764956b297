#include "shared/base/config.h"

#include <charconv>
#include <fstream>

namespace forcetls {
namespace {

constexpr unsigned kMostConnections = 1'000'000;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const auto begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

tl::unexpected<Error> bad_value(std::string_view name, std::string_view value,
                                std::string_view wanted) {
  return fail(ErrorCode::Malformed, "'" + std::string(name) + " = " + std::string(value) +
                                        "': write " + std::string(wanted));
}

Result<void> set_text(std::string& target, std::string_view name, std::string_view value) {
  if (value.empty()) return bad_value(name, value, "a value, or remove the line");
  target = value;
  return {};
}

/// What the file alone must keep to: each program starts in a directory of its own, and what looks
/// like quotes or like a comment behind a path would be part of it.
Result<void> check_path(std::string_view name, std::string_view value) {
  if (name != "policy_db" || value.empty()) return {};
  if (!value.starts_with('/'))
    return bad_value(name, value, "a path that begins with /, without quotes");
  if (value.find(" #") != value.npos || value.find("\t#") != value.npos)
    return bad_value(name, value, "the path alone, and the comment on a line of its own");
  return {};
}

/// Blank-separated addresses.
Result<void> add_addresses(std::vector<ListenAddress>& target, std::string_view value) {
  while (!(value = trimmed(value)).empty()) {
    const auto end = std::min(value.find_first_of(" \t"), value.size());
    auto address = ListenAddress::parse(value.substr(0, end));
    if (!address) return fail(std::move(address).error());
    target.push_back(*std::move(address));
    value.remove_prefix(end);
  }
  return {};
}

Result<void> set_count(unsigned& target, std::string_view name, std::string_view value) {
  unsigned count = 0;
  const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), count);
  if (problem != std::errc() || end != value.data() + value.size() || count == 0 ||
      count > kMostConnections)
    return bad_value(name, value, "a number from 1 to 1000000");
  target = count;
  return {};
}

}  // namespace

Result<void> apply_config_line(Config& config, std::string_view name, std::string_view value) {
  if (name == "policy_db") return set_text(config.policy_db, name, value);
  if (name == "evidence_db") return set_text(config.evidence_db, name, value);
  if (name == "socket_group") return set_text(config.socket_group, name, value);
  if (name == "listen_policy") return add_addresses(config.listen_policy, value);
  if (name == "listen_map") return add_addresses(config.listen_map, value);
  if (name == "listen_milter") return add_addresses(config.listen_milter, value);
  if (name == "max_connections") return set_count(config.max_connections, name, value);
  if (name == "log_level") {
    if (parse_log_level(value, config.log_level)) return {};
    return bad_value(name, value, "error, warning, info or debug");
  }
  return fail(ErrorCode::Malformed, "unknown setting '" + std::string(name) + "'");
}

Result<Config> read_config(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(ErrorCode::NotFound, path + ": cannot be read");
  Config config;
  std::string line;
  for (unsigned number = 1; std::getline(file, line); ++number) {
    const std::string_view text = trimmed(line);
    if (text.empty() || text.starts_with('#')) continue;
    const auto equals = text.find('=');
    const std::string where = path + ":" + std::to_string(number);
    if (equals == text.npos) return fail(ErrorCode::Malformed, where + ": write 'name = value'");
    const auto name = trimmed(text.substr(0, equals)), value = trimmed(text.substr(equals + 1));
    auto applied = check_path(name, value);
    if (applied) applied = apply_config_line(config, name, value);
    if (!applied) return fail(within(where, std::move(applied).error()));
  }
  if (!file.eof()) return fail(ErrorCode::System, path + ": cannot be read to its end");
  return config;
}

}  // namespace forcetls
