#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "ctl/command.h"
#include "ctl/doctor_facts.h"
#include "ctl/doctor_report.h"
#include "ctl/file_io.h"
#include "shared/base/clock.h"
#include "shared/db/domains_off.h"
#include "shared/db/policy_store.h"
#include "shared/db/setting_table.h"

namespace forcetls {
namespace {

/// After so long policyd has taken in a change, even of a very large policy.
constexpr std::chrono::seconds kPolicydReloads{3};

/// No rows at all: what is left to examine where the database is in WAL mode, which is a finding
/// of its own and keeps the rows from being read.
std::shared_ptr<const RuleStore> no_rows() { return SnapshotBuilder().build(); }

Result<std::shared_ptr<const RuleStore>> read_policy(const doctor::PolicyFile& file) {
  if (file.is_wal) return no_rows();
  auto loaded = load_policy(file.path, Locking::IfNeeded);
  if (!loaded) return fail(std::move(loaded).error());
  return std::move(loaded->rows);
}

/// Commands need -c only for an instance that is not the default one.
std::string needed_config_directory(const PostfixInstance& postfix) {
  const auto usual = PostfixInstance::open("");
  if (usual && usual->config_directory() == postfix.config_directory()) return {};
  return postfix.config_directory();
}

/// True also where it cannot be known.
bool ends_in_newline(const std::string& path) {
  const auto text = read_file(path);
  return !text || text->empty() || text->ends_with('\n');
}

/// One look at everything.
Result<DoctorReport> examine_once(const Config& config, const PostfixInstance& postfix) {
  const auto postconf = postfix.read_config();
  if (!postconf) return fail(postconf.error());
  doctor::HostFacts facts;
  facts.main_cf_directory = postfix.config_directory();
  facts.main_cf_ends_in_newline = ends_in_newline(facts.main_cf_directory + "/main.cf");
  facts.config_directory = needed_config_directory(postfix);
  facts.policy = look_at_policy_file(config.policy_db);
  facts.our_addresses = our_addresses(config);
  facts.host_addresses = host_addresses();
  const auto policy = read_policy(facts.policy);
  if (!policy) return fail(policy.error());
  if (auto settings = facts.policy.is_wal ? SettingTable{} : read_settings(config.policy_db))
    facts.settings = *std::move(settings);
  if (!facts.policy.is_wal)
    if (auto domains = read_domains_off(config.policy_db)) facts.domains_off = *std::move(domains);
  gather(postfix, *postconf, **policy,
         doctor::questions(*postconf, **policy, postfix.queue_directory(), facts.our_addresses),
         facts);
  SystemClock clock;
  return DoctorReport{postconf->version().text, postfix.config_directory(),
                      doctor::examine(*postconf, **policy, facts, clock.now())};
}

/// True if policyd may only not have taken in yet what was written a moment ago.
bool policyd_may_be_late(const DoctorReport& report) {
  return std::any_of(
      report.findings.begin(), report.findings.end(),
      [](const doctor::Finding& finding) { return finding.id == doctor::kPolicydAnswers; });
}

Result<DoctorReport> examine_host(const Config& config, const std::string& config_dir) {
  if (::geteuid() != 0)
    return fail(ErrorCode::System, "must be run by root, who may see queue, sockets and routes");
  const auto postfix = PostfixInstance::open(config_dir);
  if (!postfix) return fail(postfix.error());
  auto report = examine_once(config, *postfix);
  if (!report || !policyd_may_be_late(*report)) return report;
  std::this_thread::sleep_for(kPolicydReloads);
  return examine_once(config, *postfix);
}

}  // namespace

int run_doctor(const Config& config, const DoctorOptions& options) {
  return print_report(examine_host(config, options.config_dir), options.json);
}

}  // namespace forcetls
