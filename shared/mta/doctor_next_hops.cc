// Next hops as the doctor judges them: which leave this host, which keep what a row demands, and
// the command that gives one a row.
#include <fmt/format.h>

#include <algorithm>

#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

/// domain_policy takes ports as numbers only.
bool has_named_port(std::string_view key) {
  const auto colon = key.rfind(':');
  if (colon == key.npos || (key.starts_with('[') && key.find(']') > colon)) return false;
  return key.find_first_not_of("0123456789", colon + 1) != key.npos;
}

/// The host of [host], [host]:port, host:port and inet:host:port.
std::string_view host_in(std::string_view next_hop) {
  if (next_hop.starts_with("inet:")) next_hop.remove_prefix(5);
  if (next_hop.starts_with('[')) return next_hop.substr(1, next_hop.find(']') - 1);
  return next_hop.substr(0, next_hop.rfind(':'));
}

/// The first of `next_hops` that does not keep what `wanted` demands; empty: all do.
std::string weak_hop_of(const Case& the, std::string_view next_hops, const Requirement& wanted) {
  for (std::string& next_hop : split_list(next_hops)) {
    if (stays_here(next_hop)) continue;
    const auto key = key_of(next_hop);
    if (!key || !satisfies(effective_requirement(the.policy, *key, the.now), wanted))
      return std::move(next_hop);
  }
  return {};
}

/// The level to give to a hop, so that it keeps what `wanted` demands.
std::string_view level_for(const Requirement& wanted) {
  if (wanted.level == Level::Encrypt || wanted.level == Level::Verify) return to_text(wanted.level);
  return "secure";
}

}  // namespace

bool is_plain_key(std::string_view key) {
  return key.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.:_[]-") == key.npos;
}

Destination destination_in(std::string_view text) {
  text = without_blanks(text);
  const auto colon = text.find(':');
  if (colon == text.npos) return {std::string(text), {}};
  return {std::string(text.substr(0, colon)), std::string(without_blanks(text.substr(colon + 1)))};
}

const PostfixService* service_of_transport(const Case& the, std::string_view transport) {
  return the.config.find_service(transport, "unix");
}

bool is_network_client(const PostfixService& service) {
  return service.program == "smtp" || service.program == "lmtp";
}

Result<NextHopKey> key_of(std::string_view next_hop) {
  if (next_hop.starts_with("inet:")) next_hop.remove_prefix(5);
  return NextHopKey::parse(next_hop);
}

bool is_this_host(const Case& the, std::string_view next_hops) {
  const auto is_own = [&the](const std::string& next_hop) {
    if (stays_here(next_hop)) return true;
    const std::string_view host = host_in(next_hop);
    return std::any_of(the.facts.host_addresses.begin(), the.facts.host_addresses.end(),
                       [host](const std::string& address) {
                         const auto own = Network::parse(address);
                         return own && own->contains(host);
                       });
  };
  const auto list = split_list(next_hops);
  return !list.empty() && std::all_of(list.begin(), list.end(), is_own);
}

bool stays_here(std::string_view next_hops) {
  const auto list = split_list(next_hops);
  return !list.empty() && std::all_of(list.begin(), list.end(), [](const std::string& next_hop) {
    if (next_hop.starts_with("unix:") || next_hop.find('/') != next_hop.npos) return true;
    const auto key = key_of(next_hop);
    return key && is_loopback(*key);
  });
}

const Requirement* unmet(const Case& the, std::string_view next_hops,
                         std::span<const Requirement> needs) {
  const Requirement* worst = nullptr;
  for (const Requirement& need : needs) {
    if (weak_hop_of(the, next_hops, need).empty()) continue;
    if (worst == nullptr || !satisfies(*worst, need)) worst = &need;
  }
  return worst;
}

std::string row_command(const Case& the, std::string_view next_hops, const Requirement& wanted) {
  const std::string weak = weak_hop_of(the, next_hops, wanted);
  const auto key = key_of(weak.empty() ? next_hops : std::string_view(weak));
  if (!key || !is_plain_key(key->text)) return setup_command(the);
  if (has_named_port(key->text))
    return fmt::format("name the port of {} by its number there, then give it a row", key->text);
  const bool is_there = the.policy.find_rule(key->text).has_value();
  std::vector<std::pair<std::string_view, std::string_view>> columns{
      {"outbound", level_for(wanted)}};
  if (is_there) columns.emplace_back("mode", "enforce");
  if (is_there || wanted.min_protocol > Protocol::Tls12)
    columns.emplace_back("min_protocol", to_text(std::max(wanted.min_protocol, Protocol::Tls12)));
  if (is_there) columns.emplace_back("ciphers", "high");
  std::string names, values, changes;
  for (const auto& [name, value] : columns) {
    names += fmt::format(", {}", name);
    values += fmt::format(", '{}'", value);
    changes += fmt::format("{}{} = '{}'", changes.empty() ? "" : ", ", name, value);
  }
  if (is_there)
    return sql_command(
        the, fmt::format("UPDATE domain_policy SET {} WHERE domain = '{}'", changes, key->text));
  return sql_command(the, fmt::format("INSERT INTO domain_policy(domain{}) VALUES ('{}'{})", names,
                                      key->text, values));
}

}  // namespace forcetls::doctor
