// Reads a policy database into a Snapshot: the only door from SQL to the decisions.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "shared/base/result.h"
#include "shared/core/rule_store.h"
#include "shared/db/snapshot.h"

namespace forcetls {

/// When SQLite may be asked to read a file that somebody writes, or beside which a journal lies.
/// That takes a read lock for a moment, and the stock sqlite3 shell, which does not wait for it,
/// fails with "database is locked". AfterPatience tries for kLockPatience to do without.
enum class Locking { Never, AfterPatience, AtOnce };

/// Somebody who writes without a pause leaves no time to read a big file unlocked: after so long a
/// reader's lock is taken, even if it makes his shell fail.
constexpr std::chrono::seconds kLockPatience{2};

/// The newest entry of policy_change: which commits a policy has in it, and of which history.
struct ChangeMark {
  std::int64_t seq = 0;  ///< 0: there is no entry
  std::string entries;   ///< it and some before it; another history has others of these numbers

  bool operator==(const ChangeMark&) const = default;
};

struct LoadedPolicy {
  std::shared_ptr<const Snapshot> rows;
  ChangeMark newest;
};

/// Reads the whole policy of `path` at one commit. Errors: NotFound; NotOurs (also an empty file);
/// WrongSchema; Corrupt (also WAL mode, a row that no version of ours writes); Busy (a writer is at
/// work: try again); System.
/// Blocks for kLockPatience at most, with AfterPatience only.
Result<LoadedPolicy> load_policy(const std::string& path, Locking locking);

/// The policy of `path` now, read from `before` and the changes that policy_change has since: takes
/// milliseconds whatever the size. Takes no lock. Errors: as load_policy; TooLong if there are too
/// many changes, WrongSchema if the history is another one: then load_policy must be asked.
Result<std::shared_ptr<const RuleStore>> load_changes(const std::string& path,
                                                      const LoadedPolicy& before);

}  // namespace forcetls
