// Reads a policy database into a Snapshot: the only door from SQL to the decisions.
#pragma once

#include <memory>
#include <string>

#include "shared/base/result.h"
#include "shared/core/rule_store.h"

namespace forcetls {

/// Whether SQLite may be asked to read a file beside which a journal lies (a writer at work, or one
/// that died). That takes a read lock for a moment, which can make the stock sqlite3 shell fail.
enum class Locking { Never, IfNeeded };

/// Reads the whole policy of `path` at one commit. Errors: NotFound; NotOurs (also an empty file);
/// WrongSchema; Corrupt (also WAL mode, a row that no version of ours writes); Busy (a writer is at
/// work: try again); System.
Result<std::shared_ptr<const RuleStore>> load_policy(const std::string& path, Locking locking);

}  // namespace forcetls
