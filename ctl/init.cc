#include <fmt/format.h>

#include "ctl/command.h"
#include "shared/db/migrate.h"

namespace forcetls {

int run_init(const Config& config) {
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
