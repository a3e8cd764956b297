// forcetls doctor --mta sendmail.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "ctl/command.h"
#include "ctl/doctor_facts.h"
#include "ctl/doctor_report.h"
#include "ctl/file_io.h"
#include "ctl/sendmail_host.h"
#include "shared/base/clock.h"
#include "shared/db/policy_store.h"

namespace forcetls {
namespace {

/// After so long policyd has taken in a change, even of a very large policy.
constexpr std::chrono::seconds kPolicydReloads{3};

/// No rows where the database is in WAL mode, which is a finding of its own.
Result<std::shared_ptr<const RuleStore>> read_policy(const doctor::PolicyFile& file) {
  if (file.is_wal) return SnapshotBuilder().build();
  auto loaded = load_policy(file.path, Locking::IfNeeded);
  if (!loaded) return fail(std::move(loaded).error());
  return std::move(loaded->rows);
}

/// One look at everything.
Result<DoctorReport> examine_once(const Config& config, const DoctorOptions& options) {
  doctor::SendmailFacts facts;
  facts.files = sendmail_files(options.sendmail);
  const auto text = read_file(facts.files.cf);
  if (!text) return fail(text.error());
  const SendmailConfig sendmail = SendmailConfig::parse(*text);
  if (const auto submit = read_file(facts.files.submit_cf))
    facts.submit = SendmailConfig::parse(*submit);
  facts.policy = look_at_policy_file(config.policy_db);
  facts.our_addresses = our_addresses(config);
  const auto policy = read_policy(facts.policy);
  if (!policy) return fail(policy.error());
  SendmailProgram program = ask_sendmail(options.sendmail.program, facts.files.cf);
  facts.version = std::move(program.version);
  facts.features = std::move(program.features);
  gather_sendmail(sendmail, doctor::sendmail_questions(sendmail, **policy), facts);
  SystemClock clock;
  return DoctorReport{facts.version, facts.files.cf,
                      doctor::examine_sendmail(sendmail, **policy, facts, clock.now()), true};
}

/// True if policyd may only not have taken in yet what was written a moment ago.
bool policyd_may_be_late(const DoctorReport& report) {
  return std::any_of(report.findings.begin(), report.findings.end(),
                     [](const doctor::Finding& finding) { return finding.id == "answer-differs"; });
}

Result<DoctorReport> examine_host(const Config& config, const DoctorOptions& options) {
  if (::geteuid() != 0)
    return fail(ErrorCode::System, "must be run by root, who may see the files and sockets");
  auto report = examine_once(config, options);
  if (!report || !policyd_may_be_late(*report)) return report;
  std::this_thread::sleep_for(kPolicydReloads);
  return examine_once(config, options);
}

}  // namespace

int run_sendmail_doctor(const Config& config, const DoctorOptions& options) {
  return print_report(examine_host(config, options), options.json);
}

}  // namespace forcetls
