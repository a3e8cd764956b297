#include "shared/db/snapshot.h"

#include <bit>
#include <functional>
#include <limits>
#include <utility>

#include "shared/core/next_hop_key.h"

namespace forcetls {
namespace {

/// Beyond so many different texts the rest are taken to be different too: finding out costs more
/// than it saves.
constexpr std::size_t kMostShared = 4096;
constexpr std::size_t kMostTextBytes = std::numeric_limits<std::uint32_t>::max();

std::size_t hash_of(std::string_view key) { return std::hash<std::string_view>{}(key); }

}  // namespace

TextArena::Ref TextArena::add(std::string_view text) {
  if (text.empty()) return {};
  const Ref ref{static_cast<std::uint32_t>(bytes_.size()), static_cast<std::uint32_t>(text.size())};
  bytes_ += text;
  return ref;
}

TextArena::Ref TextArena::add_shared(std::string_view text) {
  if (text.empty()) return {};
  const auto known = seen_.find(text);
  if (known != seen_.end()) return known->second;
  const Ref ref = add(text);
  if (seen_.size() < kMostShared) seen_.emplace(text, ref);
  return ref;
}

void TextArena::finish() {
  bytes_.shrink_to_fit();
  seen_ = {};
}

Rule Snapshot::rule_of(const Row& row) const {
  const Demand& demand = demands_[row.demand];
  return {.key = key_of(row),
          .mode = demand.mode,
          .outbound = {.level = demand.level,
                       .match = texts_.at(demand.match),
                       .min_protocol = demand.outbound_protocol,
                       .ciphers = demand.ciphers,
                       .exclude = texts_.at(demand.exclude),
                       .tafile = texts_.at(demand.tafile)},
          .inbound = {.level = demand.inbound,
                      .match = texts_.at(demand.inbound_match),
                      .min_protocol = demand.inbound_protocol,
                      .min_bits = demand.min_bits},
          .on_failure = demand.on_failure,
          .fallback = texts_.at(demand.fallback)};
}

std::optional<Rule> Snapshot::find_rule(std::string_view key) const {
  if (slots_.empty()) return std::nullopt;
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t slot = hash_of(key) & mask; slots_[slot] != 0; slot = (slot + 1) & mask) {
    const Row& row = rows_[slots_[slot] - 1];
    if (key_of(row) != key) continue;
    return rule_of(row);
  }
  return std::nullopt;
}

void Snapshot::for_each_rule(const std::function<void(const Rule&)>& visit) const {
  for (const Row& row : rows_) visit(rule_of(row));
}

std::optional<Level> Snapshot::active_cap(std::string_view key, TimePoint now) const {
  if (suspensions_.empty()) return std::nullopt;
  const auto known = suspensions_.find(std::string(key));
  if (known == suspensions_.end()) return std::nullopt;
  std::optional<Level> cap;
  for (const Suspension& suspension : known->second) {
    if (now < suspension.starts_at || now >= suspension.ends_at) continue;
    if (!cap || suspension.cap == Level::Encrypt) cap = suspension.cap;
  }
  return cap;
}

SnapshotBuilder::SnapshotBuilder() : snapshot_(std::make_shared<Snapshot>()) {}

SnapshotBuilder::Identity SnapshotBuilder::identity_of(const Snapshot::Demand& demand) {
  const auto word = static_cast<std::uint32_t>(demand.mode) |
                    static_cast<std::uint32_t>(demand.level) << 4 |
                    static_cast<std::uint32_t>(demand.outbound_protocol) << 8 |
                    static_cast<std::uint32_t>(demand.ciphers) << 12 |
                    static_cast<std::uint32_t>(demand.inbound) << 16 |
                    static_cast<std::uint32_t>(demand.inbound_protocol) << 20 |
                    static_cast<std::uint32_t>(demand.on_failure) << 24;
  return {word,
          demand.min_bits,
          demand.match.offset,
          demand.match.size,
          demand.exclude.offset,
          demand.exclude.size,
          demand.tafile.offset,
          demand.tafile.size,
          demand.inbound_match.offset,
          demand.inbound_match.size,
          demand.fallback.offset,
          demand.fallback.size};
}

std::size_t SnapshotBuilder::IdentityHash::operator()(const Identity& identity) const {
  return hash_of({reinterpret_cast<const char*>(identity.data()), sizeof identity});
}

std::uint32_t SnapshotBuilder::demand_number(const Rule& rule) {
  TextArena& texts = snapshot_->texts_;
  const Snapshot::Demand demand{.mode = rule.mode,
                                .level = rule.outbound.level,
                                .outbound_protocol = rule.outbound.min_protocol,
                                .ciphers = rule.outbound.ciphers,
                                .inbound = rule.inbound.level,
                                .inbound_protocol = rule.inbound.min_protocol,
                                .on_failure = rule.on_failure,
                                .min_bits = static_cast<std::uint16_t>(rule.inbound.min_bits),
                                .match = texts.add_shared(rule.outbound.match),
                                .exclude = texts.add_shared(rule.outbound.exclude),
                                .tafile = texts.add_shared(rule.outbound.tafile),
                                .inbound_match = texts.add_shared(rule.inbound.match),
                                .fallback = texts.add_shared(rule.fallback)};
  const Identity identity = identity_of(demand);
  if (const auto known = demands_seen_.find(identity); known != demands_seen_.end())
    return known->second;
  const auto number = static_cast<std::uint32_t>(snapshot_->demands_.size());
  snapshot_->demands_.push_back(demand);
  if (demands_seen_.size() < kMostShared) demands_seen_.emplace(identity, number);
  return number;
}

bool SnapshotBuilder::add(const Rule& rule) {
  const std::size_t text_bytes = rule.key.size() + rule.outbound.match.size() +
                                 rule.outbound.exclude.size() + rule.outbound.tafile.size() +
                                 rule.inbound.match.size() + rule.fallback.size();
  if (rule.key.size() > kMaxKeyBytes || text_bytes > kMostTextBytes - snapshot_->texts_.size())
    return false;
  snapshot_->enforces_ = snapshot_->enforces_ || rule.mode == Mode::Enforce;
  const std::uint32_t demand = demand_number(rule);
  const TextArena::Ref key = snapshot_->texts_.add(rule.key);
  snapshot_->rows_.push_back({key.offset, demand, static_cast<std::uint16_t>(key.size)});
  return true;
}

void SnapshotBuilder::suspend(std::string_view key, Level cap, TimePoint starts_at,
                              TimePoint ends_at) {
  snapshot_->suspensions_[std::string(key)].push_back({cap, starts_at, ends_at});
}

std::shared_ptr<const Snapshot> SnapshotBuilder::build() {
  Snapshot& snapshot = *snapshot_;
  snapshot.texts_.finish();
  snapshot.rows_.shrink_to_fit();
  snapshot.demands_.shrink_to_fit();
  if (!snapshot.rows_.empty()) snapshot.slots_.assign(std::bit_ceil(snapshot.rows_.size() * 2), 0);
  const std::size_t mask = snapshot.slots_.size() - 1;
  for (std::uint32_t number = 1; number <= snapshot.rows_.size(); ++number) {
    std::size_t slot = hash_of(snapshot.key_of(snapshot.rows_[number - 1])) & mask;
    while (snapshot.slots_[slot] != 0) slot = (slot + 1) & mask;
    snapshot.slots_[slot] = number;
  }
  return std::move(snapshot_);
}

}  // namespace forcetls
