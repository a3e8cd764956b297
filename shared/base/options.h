// What the command lines of all our programs have in common: which files they use, and that flags
// beat the configuration file.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "shared/base/config.h"

namespace CLI {  // NOLINT(readability-identifier-naming): not ours
class App;
}

namespace forcetls {

/// The common flags as they were given; empty: not given.
struct CommonFlags {
  std::string config_file, policy_db, evidence_db, log_level;
  bool foreground = false;
};

/// --config, --policy-db and --evidence-db.
void define_files(CLI::App& app, CommonFlags& flags);

/// Those, --log-level and --foreground.
void define_daemon(CLI::App& app, CommonFlags& flags);

/// Reads the command line into what was defined. An exit status if there is nothing more to do
/// (--help, --version). Throws CannotStart, EX_USAGE with one line, for a wrong flag.
std::optional<int> parse(CLI::App& app, int argc, const char* const* argv);

/// The configuration file, with the common flags in place. The default file may be missing, one
/// that was named may not. Throws CannotStart with one line.
Config read_settings(const CommonFlags& flags);

/// Puts one flag's value into `config`, as a line of the file would; an empty value was not given.
/// Throws CannotStart, EX_USAGE, for a value that cannot be.
void apply_flag(Config& config, std::string_view name, const std::string& value);

}  // namespace forcetls
