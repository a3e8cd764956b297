#include "shared/base/options.h"

#include <fmt/format.h>

#include <filesystem>

#include "shared/base/cannot_start.h"

namespace forcetls {

void define_files(CommandLine& line, CommonFlags& flags) {
  const Config defaults;
  line.option("--config", flags.config_file,
              fmt::format("Configuration file (default {})", kDefaultConfigFile));
  line.option("--policy-db", flags.policy_db,
              fmt::format("SQLite database with the policy (default {})", defaults.policy_db));
  line.option("--evidence-db", flags.evidence_db,
              fmt::format("SQLite database with the evidence (default {})", defaults.evidence_db));
}

void define_daemon(CommandLine& line, CommonFlags& flags) {
  define_files(line, flags);
  line.option("--log-level", flags.log_level, "error, warning, info (default) or debug");
  line.flag("--foreground", flags.foreground,
            "Log to stderr instead of syslog (it never detaches)");
}

Config read_settings(const CommonFlags& flags) {
  Config config;
  const std::string path = flags.config_file.empty() ? kDefaultConfigFile : flags.config_file;
  if (!flags.config_file.empty() || std::filesystem::exists(path)) {
    auto read = read_config(path);
    if (!read) throw CannotStart(EX_CONFIG, read.error().context);
    config = *std::move(read);
  }
  apply_flag(config, "policy_db", flags.policy_db);
  apply_flag(config, "evidence_db", flags.evidence_db);
  apply_flag(config, "log_level", flags.log_level);
  return config;
}

void apply_flag(Config& config, std::string_view name, const std::string& value) {
  if (value.empty()) return;
  const auto applied = apply_config_line(config, name, value);
  if (!applied) throw CannotStart(EX_USAGE, applied.error().context);
}

}  // namespace forcetls
