#include <fmt/format.h>

#include "ctl/command.h"
#include "ctl/report.h"
#include "shared/base/clock.h"
#include "shared/db/policy_store.h"

namespace forcetls {
namespace {

int check_failed(const Error& error) {
  fmt::print(stderr, "forcetls check: {}\n", error.context);
  return exit_status_of(error.code);
}

}  // namespace

int run_check(const Config& config, const CheckOptions& options) {
  const auto policy = load_policy(config.policy_db, Locking::AfterPatience);
  if (!policy) return check_failed(policy.error());
  SystemClock clock;
  const auto report = make_report(*policy->rows, options.what, clock.now());
  if (!report) return check_failed(report.error());
  fmt::print("{}", options.json ? in_json(*report) : in_words(*report));
  return options.must_be_forced && !report->forced ? kExitNotForced : EX_OK;
}

}  // namespace forcetls
