// Carries the plan of `forcetls setup` out, and takes it back. If a step fails, all is as it was.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ctl/setup_backup.h"
#include "ctl/setup_facts.h"
#include "shared/base/config.h"
#include "shared/base/result.h"
#include "shared/db/setting_table.h"
#include "shared/mta/postfix_instance.h"
#include "shared/mta/setup_plan.h"

namespace forcetls {

/// What is to be done, worked out before anything is touched.
struct SetupWork {
  std::optional<SetupManifest> before;  ///< of an earlier --apply
  Plan plan;
  std::vector<NewFile> files;
  SettingTable settings_now;
  ConfigTexts now, next;
  std::string mail_owner;

  bool is_nothing() const {
    return plan.parameters.empty() && plan.settings.empty() && files.empty();
  }
};

/// Backs up, records the settings, puts the files in place, checks, reloads a running Postfix, and
/// looks up again. Errors: Unavailable if forcetls does not answer Postfix; Busy if somebody
/// changed the files meanwhile; Malformed if Postfix refuses the result; Denied, System. Then all
/// is as it was.
Result<void> apply_setup(const Config& config, const PostfixInstance& instance,
                         const SetupBackup& backup, const SetupWork& work);

struct Undone {
  bool anything = false;  ///< false: there is nothing to undo
  std::string stays;      ///< one line: what stays, and how to take it back; empty: nothing does
};

/// Puts main.cf and master.cf back and removes what setup made. Of policy.db it takes back only
/// what setup lowered. Errors: Malformed if main.cf or master.cf was changed since; Denied, System.
Result<Undone> undo_setup(const Config& config, const PostfixInstance& instance,
                          const SetupBackup& backup);

}  // namespace forcetls
