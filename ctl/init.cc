#include <fmt/format.h>

#include <filesystem>

#include "ctl/command.h"
#include "shared/db/migrate.h"

namespace forcetls {

int run_init(const Config& config, const InitOptions& options) {
  if (std::error_code ignored;
      options.existing && !std::filesystem::exists(config.policy_db, ignored)) {
    fmt::print(stderr,
               "forcetls init: {}: is not there: restore it from a backup, or run forcetls init "
               "without --existing for an empty policy\n",
               config.policy_db);
    return EX_NOINPUT;
  }
  const auto outcome = init_policy_db(config.policy_db);
  if (!outcome) {
    fmt::print(stderr, "forcetls init: {}\n", outcome.error().context);
    return exit_status_of(outcome.error().code);
  }
  switch (outcome->kind) {
    case InitOutcome::Kind::Created:
      fmt::print("{}: created (schema {})\n", config.policy_db, outcome->to_version);
      break;
    case InitOutcome::Kind::Migrated:
      fmt::print("{}: migrated from schema {} to {}; as it was before: {}\n", config.policy_db,
                 outcome->from_version, outcome->to_version, outcome->backup_path);
      break;
    case InitOutcome::Kind::UpToDate:
      fmt::print("{}: is up to date (schema {})\n", config.policy_db, outcome->to_version);
      break;
  }
  return EX_OK;
}

}  // namespace forcetls
