// What the doctors of Postfix and of Sendmail do alike: read the policy, and look twice.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "ctl/doctor_report.h"
#include "shared/base/result.h"
#include "shared/core/rule_store.h"
#include "shared/mta/doctor.h"

namespace forcetls {

/// The rows that are in the database now. None at all where it is in WAL mode, which is a finding
/// of its own and keeps them from being read.
Result<std::shared_ptr<const RuleStore>> rows_to_examine(const doctor::PolicyFile& file);

/// What `look` finds. Once more, and later, if `late` is among it: the finding that policyd answers
/// something else, which may only not have taken in yet what was written a moment ago.
/// Errors: System: this process is not root's; those of `look`.
Result<DoctorReport> look_as_root(const std::function<Result<DoctorReport>()>& look,
                                  std::string_view late);

}  // namespace forcetls
