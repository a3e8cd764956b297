// What the command lines of all our programs have in common: which files they use, and that flags
// beat the configuration file.
#pragma once

#include <string>
#include <string_view>

#include "shared/base/command_line.h"
#include "shared/base/config.h"

namespace forcetls {

/// The common flags as they were given; empty: not given.
struct CommonFlags {
  std::string config_file, policy_db, evidence_db, log_level;
  bool foreground = false;
};

/// --config, --policy-db and --evidence-db.
void define_files(CommandLine& line, CommonFlags& flags);

/// Those, --log-level and --foreground.
void define_daemon(CommandLine& line, CommonFlags& flags);

/// The configuration file, with the common flags in place. The default file may be missing, one
/// that was named may not. Throws CannotStart with one line.
Config read_settings(const CommonFlags& flags);

/// Puts one flag's value into `config`, as a line of the file would; an empty value was not given.
/// Throws CannotStart, EX_USAGE, for a value that cannot be.
void apply_flag(Config& config, std::string_view name, const std::string& value);

}  // namespace forcetls
