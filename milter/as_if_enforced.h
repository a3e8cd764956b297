// What the rows in mode `test` would have done: the same decisions on the same policy, with those
// rows taken for enforced ones.
#pragma once

#include "shared/core/rule_store.h"

namespace forcetls {

/// `policy` must outlive it.
class AsIfEnforced final : public RuleStore {
 public:
  explicit AsIfEnforced(const RuleStore& policy) : policy_(policy) {}

  std::optional<Rule> find_rule(std::string_view key) const override;
  std::optional<Level> active_cap(std::string_view key, TimePoint now) const override;
  const Settings& settings() const override;
  bool enforces_nothing() const override;
  void for_each_rule(const std::function<void(const Rule&)>& visit) const override;

 private:
  const RuleStore& policy_;
};

}  // namespace forcetls
