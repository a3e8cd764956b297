// The table setting as names and values, for the administrator's command. The daemons read it with
// the rest of the policy (policy_store.h).
#pragma once

#include <map>
#include <set>
#include <string>

#include "shared/base/result.h"

namespace forcetls {

using SettingTable = std::map<std::string, std::string>;

/// All settings of the policy database `path`. Errors: as load_policy.
Result<SettingTable> read_settings(const std::string& path);

/// The settings whose present value `author` has written, and nobody after it. Errors: as
/// read_settings.
Result<std::set<std::string>> settings_written_by(const std::string& path,
                                                  const std::string& author);

/// Gives each setting of `values` its value; all of them or none. Durable once it returns. The log
/// of changes names `author`. Errors: as read_settings; Malformed with the schema's own sentence
/// for a value that it refuses; Denied.
Result<void> write_settings(const std::string& path, const SettingTable& values,
                            const std::string& author);

}  // namespace forcetls
