// Next hops as the doctor judges them: which leave this host, which keep what a row demands, and
// the command that gives one a row.
#include <fmt/format.h>

#include <algorithm>

#include "shared/core/ascii.h"
#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

constexpr std::string_view kRewrite = "trivial-rewrite";

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

/// What an entry of a listed table says of `key` or of the nearest parent of a name (postfix:
/// smtp_tls_policy_maps); nullptr: nothing.
const TableEntry* entry_for(const std::vector<TableEntry>& entries, const NextHopKey& key) {
  const auto find = [&entries](std::string_view wanted) -> const TableEntry* {
    for (const TableEntry& entry : entries)
      if (equal_ignoring_case(entry.key, wanted)) return &entry;
    return nullptr;
  };
  const std::string_view name = key.text;
  if (const TableEntry* own = find(name); own != nullptr || key.kind != KeyKind::Name) return own;
  for (auto dot = name.find('.', 1); dot < name.size(); dot = name.find('.', dot + 1))
    if (const TableEntry* parent = find(name.substr(dot))) return parent;
  return nullptr;
}

/// A level that no row asks for, with what a row demands at least besides.
std::optional<Requirement> at_level(std::string_view text) {
  const auto level = level_from(text.substr(0, text.find_first_of(" \t,")));
  if (!level) return std::nullopt;
  return Requirement{.level = *level};
}

/// What `client` holds a hop without a row to: the first answer in its list, else its own level.
std::optional<Requirement> held_without_row(const Case& the, const PostfixService& client,
                                            const NextHopKey& key) {
  bool is_sure = true;
  for (const std::string& table : the.config.list(client, client.program + "_tls_policy_maps")) {
    if (is_our_map(table, "tls") || is_our_map(table, "lmtp")) continue;
    if (is_our_map(table, "default")) {
      if (auto wanted = default_requirement(the.policy.settings(), key)) return wanted;
      continue;
    }
    const auto listed = the.facts.tables.find(table);
    if (listed == the.facts.tables.end())
      is_sure = false;
    else if (const TableEntry* entry = entry_for(listed->second, key))
      return at_level(entry->value);
  }
  if (!is_sure) return std::nullopt;
  return at_level(the.config.value(client, client.program + "_tls_security_level"));
}

/// What mail that `client` sends to a hop is held to. Rows count whether it asks for them or not:
/// that it does not is a finding of its own.
std::optional<Requirement> held_to(const Case& the, const PostfixService* client,
                                   const NextHopKey& key) {
  const bool is_lmtp = client != nullptr && client->program == "lmtp";
  const auto [rule, cap, tested] =
      is_lmtp ? find_exact_policy(the.policy, key, the.now) : find_policy(the.policy, key, the.now);
  if (rule) return outbound_requirement(*rule, cap, the.policy.settings().floor);
  if (client == nullptr) return default_requirement(the.policy.settings(), key);
  return held_without_row(the, *client, key);
}

/// The first of `next_hops` that does not keep what `wanted` demands; empty: all do.
std::string weak_hop_of(const Case& the, const PostfixService* client, std::string_view next_hops,
                        const Requirement& wanted) {
  for (std::string& next_hop : split_list(next_hops)) {
    if (stays_here(next_hop)) continue;
    const auto key = key_of(next_hop);
    if (!key || !satisfies(held_to(the, client, *key), wanted)) return std::move(next_hop);
  }
  return {};
}

/// The level to give to a hop, so that it keeps what `wanted` demands.
std::string_view level_for(const Requirement& wanted) {
  if (wanted.level == Level::Encrypt || wanted.level == Level::Verify) return to_text(wanted.level);
  return "secure";
}

/// `key` is a plain one.
std::string row_command_of_key(const Case& the, std::string_view key, const Requirement& wanted) {
  const bool is_there = has_row(the, key);
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
        the, fmt::format("UPDATE domain_policy SET {} WHERE domain = '{}'", changes, key));
  return sql_command(
      the, fmt::format("INSERT INTO domain_policy(domain{}) VALUES ('{}'{})", names, key, values));
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

std::vector<Place> routing_places(const Case& the, std::string_view parameter) {
  return places(the, {kRewrite}, parameter);
}

std::vector<PlacedTable> routing_tables(const Case& the, std::string_view parameter) {
  std::vector<PlacedTable> tables;
  for (const Place& place : routing_places(the, parameter))
    for (const std::string& table : split_list(place.value))
      tables.push_back({fmt::format("{}: {}", where(place, parameter), table), table});
  return tables;
}

std::vector<std::string> routing_tables(const PostfixConfig& config, std::string_view parameter) {
  std::vector<std::string> tables = config.list(parameter);
  for (const PostfixService* service : config.services_of(kRewrite))
    for (std::string& table : config.list(*service, parameter)) tables.push_back(std::move(table));
  return tables;
}

const PostfixService* client_of(const Case& the, std::string_view transport) {
  if (!transport.empty()) return service_of_transport(the, transport);
  const Destination usual = destination_in(routing_places(the, "default_transport").front().value);
  const PostfixService* client = service_of_transport(the, usual.transport);
  return client != nullptr && is_network_client(*client) ? client : nullptr;
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

std::string program_here(const Case& the, std::string_view next_hops) {
  for (std::string& next_hop : split_list(next_hops)) {
    const auto key = key_of(next_hop);
    if (key && is_loopback(*key) && !is_own_listener(the.config, *key)) return std::move(next_hop);
  }
  return {};
}

bool stays_here(std::string_view next_hops) {
  const auto list = split_list(next_hops);
  return !list.empty() && std::all_of(list.begin(), list.end(), [](const std::string& next_hop) {
    if (next_hop.starts_with("unix:") || next_hop.find('/') != next_hop.npos) return true;
    const auto key = key_of(next_hop);
    return key && is_loopback(*key);
  });
}

const Requirement* unmet(const Case& the, const PostfixService* client, std::string_view next_hops,
                         std::span<const Requirement> needs) {
  const Requirement* worst = nullptr;
  for (const Requirement& need : needs) {
    if (weak_hop_of(the, client, next_hops, need).empty()) continue;
    if (worst == nullptr || !satisfies(*worst, need)) worst = &need;
  }
  return worst;
}

bool has_row(const Case& the, std::string_view key) {
  return the.policy.find_rule(key) || the.facts.domains_off.contains(std::string(key));
}

std::string row_command(const Case& the, const PostfixService* client, std::string_view next_hops,
                        const Requirement& wanted) {
  const std::string weak = weak_hop_of(the, client, next_hops, wanted);
  const auto key = key_of(weak.empty() ? next_hops : std::string_view(weak));
  if (!key || !is_plain_key(key->text)) return setup_command(the);
  if (has_named_port(key->text))
    return fmt::format("name the port of {} by its number there, then give it a row", key->text);
  return row_command_of_key(the, key->text, wanted);
}

std::string row_command_of_entry(const Case& the, std::string_view key, Level level, bool more) {
  const bool is_simple =
      level == Level::Encrypt || level == Level::Verify || level == Level::Secure;
  if (more || !is_simple || !is_plain_key(key))
    return "write a row for it that says the same, in mode enforce";
  return row_command_of_key(the, key, {.level = level});
}

}  // namespace forcetls::doctor
