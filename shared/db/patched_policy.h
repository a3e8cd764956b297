// A big policy with a few rows changed: what a commit did is in force long before the whole file
// can be read again.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>

#include "shared/db/snapshot.h"

namespace forcetls {

/// Keys that may be asked for by a view.
struct KeyHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view key) const { return std::hash<std::string_view>{}(key); }
};
using KeySet = std::unordered_set<std::string, KeyHash, std::equal_to<>>;

/// `base`, except for the rows of the `changed` keys, all suspensions and all settings: those are
/// `patch`'s. Any number of threads may read it.
class PatchedPolicy final : public RuleStore {
 public:
  PatchedPolicy(std::shared_ptr<const Snapshot> base, std::shared_ptr<const Snapshot> patch,
                KeySet changed)
      : base_(std::move(base)), patch_(std::move(patch)), changed_(std::move(changed)) {}

  std::optional<Rule> find_rule(std::string_view key) const override {
    return changed_.contains(key) ? patch_->find_rule(key) : base_->find_rule(key);
  }
  std::optional<Level> active_cap(std::string_view key, TimePoint now) const override {
    return patch_->active_cap(key, now);
  }
  const Settings& settings() const override { return patch_->settings(); }
  /// False also while all rows of the base are deleted: that is known once the file is read anew.
  bool enforces_nothing() const override {
    return base_->enforces_nothing() && patch_->enforces_nothing();
  }
  void for_each_rule(const std::function<void(const Rule&)>& visit) const override {
    base_->for_each_rule([&](const Rule& rule) {
      if (!changed_.contains(rule.key)) visit(rule);
    });
    patch_->for_each_rule([&](const Rule& rule) {
      if (changed_.contains(rule.key)) visit(rule);
    });
  }

 private:
  std::shared_ptr<const Snapshot> base_, patch_;
  KeySet changed_;
};

}  // namespace forcetls
