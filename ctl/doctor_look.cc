#include "ctl/doctor_look.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "shared/db/policy_store.h"

namespace forcetls {
namespace {

/// After so long policyd has taken in a change, even of a very large policy.
constexpr std::chrono::seconds kPolicydReloads{3};

}  // namespace

Result<std::shared_ptr<const RuleStore>> rows_to_examine(const doctor::PolicyFile& file) {
  if (file.is_wal) return SnapshotBuilder().build();
  auto loaded = load_policy(file.path, Locking::AfterPatience);
  if (!loaded) return fail(std::move(loaded).error());
  return std::move(loaded->rows);
}

Result<DoctorReport> look_as_root(const std::function<Result<DoctorReport>()>& look,
                                  std::string_view late) {
  if (::geteuid() != 0)
    return fail(ErrorCode::System, "must be run by root, who may see queues, files and sockets");
  auto report = look();
  if (!report || std::none_of(report->findings.begin(), report->findings.end(),
                              [&](const doctor::Finding& one) { return one.id == late; }))
    return report;
  std::this_thread::sleep_for(kPolicydReloads);
  return look();
}

}  // namespace forcetls
