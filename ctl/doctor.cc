#include "ctl/command.h"
#include "ctl/doctor_facts.h"
#include "ctl/doctor_look.h"
#include "ctl/file_io.h"
#include "shared/base/clock.h"
#include "shared/db/domains_off.h"
#include "shared/db/setting_table.h"

namespace forcetls {
namespace {

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
  const auto policy = rows_to_examine(facts.policy);
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

Result<DoctorReport> examine_host(const Config& config, const std::string& config_dir) {
  const auto postfix = PostfixInstance::open(config_dir);
  if (!postfix) return fail(postfix.error());
  return examine_once(config, *postfix);
}

}  // namespace

int run_doctor(const Config& config, const DoctorOptions& options) {
  const auto look = [&] { return examine_host(config, options.config_dir); };
  return print_report(look_as_root(look, doctor::kPolicydAnswers), options.json);
}

}  // namespace forcetls
