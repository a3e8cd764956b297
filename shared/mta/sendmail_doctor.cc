#include "shared/mta/sendmail_doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "shared/mta/doctor_case.h"
#include "shared/mta/parameter_text.h"
#include "shared/mta/sendmail_case.h"
#include "shared/mta/sendmail_domain.h"
#include "shared/mta/sendmail_policy.h"
#include "shared/mta/sendmail_ruleset.h"

namespace forcetls::doctor {
namespace {

constexpr SendmailCheck kSendmailChecks[] = {check_build,
                                             check_map_line,
                                             check_ruleset,
                                             check_sendmail_sockets,
                                             check_answers,
                                             check_stale_daemon,
                                             check_aliases,
                                             check_search_list,
                                             check_routes,
                                             check_submission_host,
                                             check_mailers,
                                             check_queue_groups,
                                             check_sendmail_bounces,
                                             check_fallback_to_clear,
                                             check_access_map,
                                             check_try_tls,
                                             check_sts,
                                             check_rows,
                                             check_certificates,
                                             check_next_hops,
                                             check_sendmail_milters,
                                             check_client_certificates,
                                             check_enforcing_mailers,
                                             check_redirections};

std::string mc_of(const std::string& cf) {
  return (cf.ends_with(".cf") ? cf.substr(0, cf.size() - 3) : cf) + ".mc";
}

void ask_socket(SendmailQuestions& asked, const std::string& address) {
  const std::string ours = our_spelling_of(address);
  if (ours.starts_with("unix:") || ours.starts_with("inet:")) asked.sockets.insert(ours);
}

}  // namespace

std::string SendmailFiles::mc() const { return mc_path.empty() ? mc_of(cf) : mc_path; }
std::string SendmailFiles::submit_mc() const { return mc_of(submit_cf); }
std::string SendmailFiles::snippet() const {
  const std::string path = mc();
  return path.substr(0, path.rfind('/') + 1) + "m4/forcetls.m4";
}

bool is_supported_sendmail(std::string_view version) {
  int major = 0, minor = 0;
  const char* const end = version.data() + version.size();
  const auto first = std::from_chars(version.data(), end, major);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '.') return true;
  std::from_chars(first.ptr + 1, end, minor);
  return major > kFirstSendmailMajor ||
         (major == kFirstSendmailMajor && minor >= kFirstSendmailMinor);
}

SendmailQuestions sendmail_questions(const SendmailConfig& config, const RuleStore& policy) {
  SendmailQuestions asked;
  if (const SendmailMap* map = config.map(kSendmailMap); map != nullptr && map->type == "socket") {
    asked.map_address = our_spelling_of(map->arguments);
    ask_socket(asked, map->arguments);
  }
  for (const std::string& name : config.all_input_milters())
    if (const SendmailEquates* milter = config.milter(name)) ask_socket(asked, milter->field('S'));
  for (const char* name : {"CACertFile", "CACertPath"})
    if (const auto file = config.option(name); file && !file->empty()) asked.files.insert(*file);
  if (const SendmailMap* access = config.map("access"); access != nullptr)
    asked.access_table = access->type + " " + access->arguments;
  for (const char* name : {"domaintable", "virtuser", "mailertable"})
    if (const SendmailMap* table = config.map(name); table != nullptr)
      asked.tables.emplace(name, table->type + " " + table->arguments);
  policy.for_each_rule([&](const Rule& rule) {
    if (rule.mode != Mode::Enforce || asked.keys.size() >= kMostExaminedRows) return;
    if (auto domain = domain_asked_for(rule.key); !domain.empty())
      asked.keys.push_back(std::move(domain));
  });
  return asked;
}

SendmailCase make_sendmail_case(const SendmailConfig& config, const RuleStore& policy,
                                const SendmailFacts& facts, TimePoint now) {
  SendmailCase the{config, policy, facts, now, {}};
  policy.for_each_rule([&](const Rule& rule) {
    if (rule.mode != Mode::Enforce || the.rows.size() >= kMostExaminedRows) return;
    const std::string domain = domain_asked_for(rule.key);
    const auto key = NextHopKey::parse(domain);
    if (domain.empty() || !key) return;
    const auto requirement = effective_requirement(policy, *key, now);
    the.rows.push_back({std::string(rule.key), domain, requirement.value_or(Requirement{}),
                        sendmail_answer(policy, *key, now)});
  });
  std::sort(the.rows.begin(), the.rows.end(),
            [](const SendmailRow& a, const SendmailRow& b) { return a.key < b.key; });
  return the;
}

bool SendmailCase::has_forced_rows() const {
  return std::any_of(rows.begin(), rows.end(),
                     [](const SendmailRow& row) { return is_forced(row.requirement.level); });
}

bool SendmailCase::wants_certificates() const {
  return std::any_of(rows.begin(), rows.end(), [](const SendmailRow& row) {
    return row.requirement.level == Level::Verify || row.requirement.level == Level::Secure;
  });
}

bool SendmailCase::checks_inbound_certificates() const {
  bool any = false;
  policy.for_each_rule([&](const Rule& rule) {
    any = any || (rule.mode == Mode::Enforce && rule.inbound.level == InboundLevel::Verify);
  });
  return any;
}

std::string domain_asked_for(std::string_view key) {
  const auto parsed = NextHopKey::parse(key.starts_with('.') ? key.substr(1) : key);
  if (!parsed || !is_recipient_domain(*parsed)) return {};
  return (key.starts_with('.') ? "forcetls-doctor." : "") + parsed->text;
}

std::string and_restart(const SendmailCase& the, std::string_view deed) {
  const std::string directory = the.facts.files.cf.substr(0, the.facts.files.cf.rfind('/') + 1);
  return fmt::format("{}; then make -C {} && systemctl restart sendmail", deed,
                     directory.empty() ? "." : directory);
}

std::string add_line(const SendmailCase& the, std::string_view line) {
  return and_restart(
      the, fmt::format("add to {}, before MAILER_DEFINITIONS: {}", the.facts.files.mc(), line));
}

std::string in_cf(const SendmailCase& the, std::string_view what) {
  const std::string& cf = the.facts.files.cf;
  return fmt::format("{}: {}", cf.substr(cf.rfind('/') + 1), what);
}

bool is_network_mailer(const SendmailEquates& mailer) {
  const std::string program = mailer.field('P');
  return program == "[IPC]" || program == "[TCP]";
}

bool is_loopback_address(std::string_view address) {
  if (!address.starts_with("inet:")) return true;
  const auto key = NextHopKey::parse(address.substr(5));
  return key && is_loopback(*key);
}

std::vector<Finding> examine_sendmail(const SendmailConfig& config, const RuleStore& policy,
                                      const SendmailFacts& facts, TimePoint now) {
  const SendmailCase the = make_sendmail_case(config, policy, facts, now);
  Findings found;
  for (const SendmailCheck check : kSendmailChecks) check(the, found);
  examine_policy_file(facts.policy, found);
  return worst_first(std::move(found));
}

}  // namespace forcetls::doctor
