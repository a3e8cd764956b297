// What `forcetls setup` looks at besides main.cf and master.cf: the policy, the tables that these
// name, and the files that must lie where Postfix can read them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ctl/command.h"
#include "ctl/setup_backup.h"
#include "shared/base/result.h"
#include "shared/mta/postfix_instance.h"
#include "shared/mta/setup_plan.h"

namespace forcetls {

/// Who setup is in the log of changes of policy.db.
constexpr const char* kSetupAuthor = "forcetls setup";

/// A file that setup makes.
struct NewFile {
  std::string path, content, reason;
  std::optional<std::string> previous{};  ///< what a person put there before
};

struct SetupSurroundings {
  SetupFacts facts;
  std::vector<NewFile> files;       ///< those that are missing
  std::vector<std::string> advice;  ///< on files that it will not touch
};

/// Errors: those of load_policy.
Result<SetupSurroundings> look_around(const Config& config, const SetupOptions& options,
                                      const PostfixInstance& instance, const PostfixConfig& postfix,
                                      const SetupManifest& before);

}  // namespace forcetls
