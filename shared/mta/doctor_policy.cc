// The policy database itself, and the settings that have to agree with master.cf and main.cf.
#include <fmt/format.h>

#include <algorithm>

#include "shared/core/ascii.h"
#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

void check_transports(const Case& the, Findings& found) {
  std::vector<std::string> right, missing, wrong;
  for (const std::string& name : the.policy.settings().enforcing_transports) {
    const PostfixService* service = service_of_transport(the, name);
    const bool enforces =
        service == nullptr || (service->program == "smtp" && asks_policyd(the, *service));
    // A service that should ask and does not is reported as what it is, by service-policy-map.
    (enforces || service->program == "smtp" ? right : wrong).push_back(name);
  }
  for (const PostfixService* service : the.config.services_of("smtp"))
    if (service->type == "unix" && asks_policyd(the, *service) &&
        !the.policy.settings().is_enforcing(service->name))
      missing.push_back(service->name);
  if (missing.empty() && wrong.empty()) return;
  std::vector<std::string> all = right;
  all.insert(all.end(), missing.begin(), missing.end());
  std::string what;
  if (!missing.empty())
    what = fmt::format(
        "{} asks forcetls but is not listed: the milter refuses forced mail that is "
        "routed by it. ",
        some_of(missing));
  if (!wrong.empty())
    what += fmt::format(
        "{} is listed but does not ask: the milter lets forced mail pass that is "
        "routed by it.",
        some_of(wrong));
  found.push_back({"enforcing-transports", Severity::Warning, Certainty::Certain,
                   "policy.db: setting enforcing_transports", std::string(without_blanks(what)),
                   setting_command(the, "enforcing_transports", joined(all))});
}

/// Domains that main.cf itself names as this host's.
std::vector<std::string> literal_domains(const Case& the) {
  std::vector<std::string> domains;
  for (const char* name :
       {"mydestination", "virtual_alias_domains", "virtual_mailbox_domains", "relay_domains"})
    for (const std::string& item : the.config.list(name)) {
      if (item.find_first_of(":/=!") != item.npos) continue;
      const auto key = NextHopKey::parse(item);
      if (!key || key->kind != KeyKind::Name || key->text.find('.') == std::string::npos ||
          key->text == "localhost.localdomain")
        continue;
      if (std::find(domains.begin(), domains.end(), key->text) == domains.end())
        domains.push_back(key->text);
    }
  return domains;
}

void check_own_domains(const Case& the, Findings& found) {
  std::vector<std::string> missing, forced;
  for (const std::string& domain : literal_domains(the)) {
    if (the.policy.settings().is_own(domain)) continue;
    missing.push_back(domain);
    const auto rule = find_policy(the.policy, {KeyKind::Name, domain}, the.now).rule;
    if (rule && is_forced(rule->outbound.level)) forced.push_back(domain);
  }
  if (missing.empty()) return;
  std::vector<std::string> all = the.policy.settings().own_domains;
  all.insert(all.end(), missing.begin(), missing.end());
  const bool stops =
      !forced.empty() && the.policy.settings().clear_submission == ClearSubmission::Tempfail;
  found.push_back(
      {"own-domains", stops ? Severity::Warning : Severity::Note, Certainty::Certain,
       "policy.db: setting own_domains",
       stops
           ? fmt::format("{} is your own and has a forcing row: mail that others send you in clear "
                         "is refused, which RFC 3207 does not allow.",
                         some_of(forced))
           : fmt::format("{} is your own and not listed: with a row for it, mail that others send "
                         "you in clear would be refused.",
                         some_of(missing)),
       setting_command(the, "own_domains", joined(all))});
}

}  // namespace

void check_settings(const Case& the, Findings& found) {
  check_transports(the, found);
  check_own_domains(the, found);
}

void check_policy_file(const Case& the, Findings& found) {
  const PolicyFile& file = the.facts.policy;
  const std::string path = shell_word(file.path);
  if (file.is_wal)
    found.push_back({"policy-db-wal", Severity::Warning, Certainty::Certain, file.path,
                     "The database is in WAL mode, in which the daemons do not read it: once they "
                     "restart, all mail waits.",
                     fmt::format("sqlite3 {} 'PRAGMA journal_mode = DELETE'", path)});
  if (!file.only_root_writes)
    found.push_back({"policy-db-owner", Severity::Warning, Certainty::Certain, file.path,
                     "Somebody else than root can write it, and so lower what is required.",
                     fmt::format("chown root {} && chmod go-w {}", path, path)});
  if (!file.only_root_writes_directory) {
    const std::string directory = shell_word(file.path.substr(0, file.path.rfind('/') + 1));
    found.push_back({"policy-db-owner", Severity::Warning, Certainty::Certain, file.path,
                     "Somebody else than root can write its directory, and so put another file in "
                     "its place.",
                     fmt::format("chown root {} && chmod go-w {}", directory, directory)});
  }
}

}  // namespace forcetls::doctor
