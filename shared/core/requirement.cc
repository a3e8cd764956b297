#include "shared/core/requirement.h"

#include <algorithm>

namespace forcetls {
namespace {

/// Where a name's parents begin: ".example" of "bank.example". npos: there is no further one.
std::size_t next_parent(std::string_view name, std::size_t from) { return name.find('.', from); }

/// Takes the row of `key` into `finding` if it decides. True: the search is over.
bool consider(const RuleStore& store, std::string_view key, Finding& finding) {
  if (key.size() > kMaxKeyBytes) return false;
  auto rule = store.find_rule(key);
  if (!rule) return false;
  switch (rule->mode) {
    case Mode::Off:
      return false;
    case Mode::Test:
      if (!finding.tested) finding.tested = rule;
      return false;
    case Mode::Enforce:
      finding.rule = rule;
      return true;
  }
  return false;
}

Finding with_cap(const RuleStore& store, Finding finding, TimePoint now) {
  if (finding.rule) finding.cap = store.active_cap(finding.rule->key, now);
  return finding;
}

/// How much a level proves: nothing, encryption, the name that DNS gave, the identity.
enum class Strength { Clear, Encrypted, NameFromDns, Identity };

Strength strength_of(Level level) {
  switch (level) {
    case Level::None:
    case Level::May:
    case Level::Dane:
      return Strength::Clear;
    case Level::Encrypt:
      return Strength::Encrypted;
    case Level::Verify:
      return Strength::NameFromDns;
    case Level::DaneOnly:
    case Level::Fingerprint:
    case Level::Secure:
      return Strength::Identity;
  }
  return Strength::Clear;
}

}  // namespace

Finding find_exact_policy(const RuleStore& store, const NextHopKey& key, TimePoint now) {
  Finding finding;
  if (key.kind != KeyKind::LocalPath) consider(store, key.text, finding);
  return with_cap(store, finding, now);
}

Finding find_policy(const RuleStore& store, const NextHopKey& key, TimePoint now) {
  Finding finding;
  if (key.kind == KeyKind::LocalPath || key.text.empty()) return finding;
  if (consider(store, key.text, finding) || key.kind == KeyKind::NextHop)
    return with_cap(store, finding, now);
  const std::string_view name = key.text;
  for (auto dot = next_parent(name, 1); dot != name.npos; dot = next_parent(name, dot + 1))
    if (consider(store, name.substr(dot), finding)) break;
  return with_cap(store, finding, now);
}

Level capped(Level level, std::optional<Level> cap) {
  if (!cap || level == Level::None || level == Level::May) return level;
  if (*cap == Level::May) return Level::May;
  return Level::Encrypt;
}

InboundLevel capped(InboundLevel level, std::optional<Level> cap) {
  if (!cap || level == InboundLevel::May) return level;
  return *cap == Level::May ? InboundLevel::May : InboundLevel::Encrypt;
}

Requirement raised_to(Requirement requirement, const Floor& floor) {
  if (!is_forced(requirement.level)) return requirement;
  requirement.min_protocol = std::max(requirement.min_protocol, floor.min_protocol);
  requirement.ciphers = std::max(requirement.ciphers, floor.ciphers);
  requirement.site_exclude = floor.exclude;
  return requirement;
}

Requirement outbound_requirement(const Rule& rule, std::optional<Level> cap, const Floor& floor) {
  Requirement requirement = rule.outbound;
  requirement.level = capped(rule.outbound.level, cap);
  if (requirement.level != rule.outbound.level) requirement.match = requirement.tafile = {};
  return raised_to(requirement, floor);
}

InboundRequirement inbound_requirement(const Rule& rule, std::optional<Level> cap) {
  InboundRequirement requirement = rule.inbound;
  requirement.level = capped(rule.inbound.level, cap);
  if (requirement.level != rule.inbound.level) requirement.match = {};
  return requirement;
}

std::optional<Requirement> default_requirement(const Settings& settings, const NextHopKey& key) {
  const Requirement encrypt = raised_to({.level = Level::Encrypt}, settings.floor);
  switch (key.kind) {
    case KeyKind::LocalPath:
      return std::nullopt;
    case KeyKind::NextHop:
      if (settings.unlisted_relay == UnlistedRelay::Unset || is_loopback(key)) return std::nullopt;
      return encrypt;
    case KeyKind::Name:
      // `learn` asks the evidence; what it does not know of a domain never raises its level.
      if (settings.default_outbound != DefaultOutbound::Encrypt) return std::nullopt;
      if (key.text.empty() || is_loopback(key)) return std::nullopt;
      return encrypt;
  }
  return std::nullopt;
}

std::optional<Requirement> effective_requirement(const RuleStore& store, const NextHopKey& key,
                                                 TimePoint now) {
  const Finding finding = find_policy(store, key, now);
  if (finding.rule) return outbound_requirement(*finding.rule, finding.cap, store.settings().floor);
  return default_requirement(store.settings(), key);
}

bool demands_nothing(const RuleStore& store) {
  const Settings& settings = store.settings();
  return store.enforces_nothing() && settings.default_outbound != DefaultOutbound::Encrypt &&
         settings.unlisted_relay != UnlistedRelay::Encrypt;
}

bool satisfies(const std::optional<Requirement>& hop, const Requirement& wanted) {
  if (!is_forced(wanted.level)) return true;
  return hop && strength_of(hop->level) >= strength_of(wanted.level) &&
         hop->min_protocol >= wanted.min_protocol && hop->ciphers >= wanted.ciphers;
}

bool is_loopback(const NextHopKey& key) {
  std::string_view host = key.text;
  if (host.starts_with('[')) {
    const auto close = std::min(host.find(']'), host.size());
    const std::string_view port = host.substr(std::min(close + 1, host.size()));
    // More than a port may name another host: a list of several, say.
    if (!port.empty() && (port.front() != ':' || port.find_first_of(" \t,[") != port.npos))
      return false;
    host = host.substr(1, close - 1);
  } else if (key.kind == KeyKind::NextHop) {
    host = host.substr(0, host.rfind(':'));
  }
  static const std::optional<Network> v4 = Network::parse("127.0.0.0/8");
  static const std::optional<Network> v6 = Network::parse("::1");
  return host == "localhost" || v4->contains(host) || v6->contains(host);
}

}  // namespace forcetls
