// The whole policy at one commit, in memory: immutable once built, made for millions of rows.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shared/core/rule_store.h"

namespace forcetls {

/// Texts laid end to end. Short-lived duplicates are shared as long as few different ones occur.
class TextArena {
 public:
  /// Where a text lies. The empty text is {0, 0}.
  struct Ref {
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
  };
  Ref add(std::string_view text);
  Ref add_shared(std::string_view text);
  std::string_view at(Ref ref) const {
    return std::string_view(bytes_).substr(ref.offset, ref.size);
  }
  std::size_t size() const { return bytes_.size(); }
  void finish();

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };

  std::string bytes_;
  std::unordered_map<std::string, Ref, Hash, std::equal_to<>> seen_;
};

/// Built by SnapshotBuilder. Any number of threads may read it.
class Snapshot final : public RuleStore {
 public:
  std::optional<Rule> find_rule(std::string_view key) const override;
  std::optional<Level> active_cap(std::string_view key, TimePoint now) const override;
  const Settings& settings() const override { return settings_; }
  bool enforces_nothing() const override { return !enforces_; }
  void for_each_rule(const std::function<void(const Rule&)>& visit) const override;
  std::size_t size() const { return rows_.size(); }

 private:
  friend class SnapshotBuilder;

  /// What a row demands, without its key: most rows share a few of these.
  struct Demand {
    Mode mode;
    Level level;
    Protocol outbound_protocol;
    CipherGrade ciphers;
    InboundLevel inbound;
    Protocol inbound_protocol;
    OnFailure on_failure;
    std::uint16_t min_bits;
    TextArena::Ref match, exclude, tafile, inbound_match, fallback;
  };
  struct Row {
    std::uint32_t key_offset;
    std::uint32_t demand;
    std::uint16_t key_size;
  };
  struct Suspension {
    Level cap;
    TimePoint starts_at, ends_at;
  };

  Rule rule_of(const Row& row) const;
  std::string_view key_of(const Row& row) const {
    return texts_.at({row.key_offset, row.key_size});
  }

  TextArena texts_;
  std::vector<Demand> demands_;
  std::vector<Row> rows_;
  std::vector<std::uint32_t> slots_;  ///< hash table: row number + 1; 0 = free
  std::unordered_map<std::string, std::vector<Suspension>> suspensions_;
  Settings settings_;
  bool enforces_ = false;  ///< there is a row in mode enforce
};

class SnapshotBuilder {
 public:
  SnapshotBuilder();
  /// Keys must differ; at most kMaxKeyBytes each. False: the row breaks that, or there are more
  /// than 4 GiB of text.
  [[nodiscard]] bool add(const Rule& rule);
  void suspend(std::string_view key, Level cap, TimePoint starts_at, TimePoint ends_at);
  Settings& settings() { return snapshot_->settings_; }
  std::shared_ptr<const Snapshot> build();

 private:
  /// All of a Demand as numbers: the same for the same demands.
  using Identity = std::array<std::uint32_t, 12>;
  struct IdentityHash {
    std::size_t operator()(const Identity& identity) const;
  };
  static Identity identity_of(const Snapshot::Demand& demand);
  std::uint32_t demand_number(const Rule& rule);

  std::shared_ptr<Snapshot> snapshot_;
  std::unordered_map<Identity, std::uint32_t, IdentityHash> demands_seen_;
};

}  // namespace forcetls
