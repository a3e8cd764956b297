// Creates policy databases and brings older ones to this program's schema. Only `forcetls init`
// does that; the daemons check the schema and go no further.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>

#include "shared/base/result.h"
#include "shared/db/database.h"

namespace forcetls {

/// PRAGMA application_id of a policy database: 'FTLS'. schema/policy/001_init.sql sets it.
constexpr int kPolicyApplicationId = 0x46544C53;

/// Success: a policy database of exactly the schema this program was built with. Errors: NotOurs;
/// WrongSchema, older or newer, with the command that helps; Busy, Corrupt, System.
Result<void> check_schema(Database& database);

struct InitOutcome {
  enum class Kind { Created, Migrated, UpToDate };
  Kind kind;
  int from_version;         ///< 0 if created
  int to_version;           ///< of the database now
  std::string backup_path;  ///< the copy made before migrating; empty if there was no need
};

/// Creates the policy database `path` with mode 0640 and its directory's group, or migrates an
/// older one after copying it to PATH.backup-vN-TIME, or finds it up to date. All or nothing: on
/// failure there is either no file or the old one as it was, besides the backup, if it got so far.
/// Errors: NotFound: no directory. NotOurs: an empty file, or anything but a policy database.
/// WrongSchema: newer than this program. Corrupt: in WAL mode, or damaged. Busy. System.
/// No other connection of this process may be open on `path` (closing a file drops its POSIX
/// locks).
Result<InitOutcome> init_policy_db(const std::string& path);

/// The same with a list of migrations: element i takes schema i to schema i + 1 and sets
/// user_version itself. `now` names the backup.
Result<InitOutcome> init_policy_db(const std::string& path,
                                   std::span<const std::string_view> migrations,
                                   std::chrono::sys_seconds now);

}  // namespace forcetls
