// The seam between the decisions and the database: the policy as it was at one commit.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "shared/core/policy.h"

namespace forcetls {

/// One immutable state of the policy. Real: db/Snapshot. Safe for any number of threads.
class RuleStore {
 public:
  virtual ~RuleStore() = default;
  /// The row with exactly this key, of mode test or enforce (a row in mode off does not exist).
  virtual std::optional<Rule> find_rule(std::string_view key) const = 0;
  /// The strictest suspension of that row that is active at `now`: Encrypt or May.
  virtual std::optional<Level> active_cap(std::string_view key, TimePoint now) const = 0;
  virtual const Settings& settings() const = 0;
  /// True if no row is in mode enforce: then nothing that the programs do may change a message's
  /// fate.
  virtual bool enforces_nothing() const = 0;
  /// Calls `visit` once for each row that find_rule would give, in no order.
  virtual void for_each_rule(const std::function<void(const Rule&)>& visit) const = 0;
};

}  // namespace forcetls
