// The policy database itself, the directory of main.cf, and the transports that the milter goes by.
#include <fmt/format.h>

#include <algorithm>

#include "shared/core/ascii.h"
#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {

void check_directory(const Case& the, Findings& found) {
  constexpr std::string_view kName = "config_directory";
  const std::string named = the.config.value(kName), &real = the.facts.main_cf_directory;
  if (!the.config.is_set(kName) || real.empty() || named == real || named == real + "/") return;
  found.push_back(
      {"config-directory", Severity::Note, Certainty::Certain, "main.cf: config_directory",
       fmt::format("Postfix reads main.cf and master.cf in {} all the same, and so does "
                   "doctor; but $config_directory in other values means {}.",
                   real, named),
       unset_command(the, {nullptr, {}, {}}, kName)});
}

void check_transports(const Case& the, Findings& found) {
  if (the.facts.policy.is_wal) return;  // in which it cannot be read
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
                   setting_command(the, "enforcing_transports", with_blanks(all))});
}

void check_policy_file(const Case& the, Findings& found) {
  examine_policy_file(the.facts.policy, found);
}

/// The file, and a directory that is its alone, can be the daemons' group's; others are not ours.
std::string let_daemons_pass(const PolicyFile& file) {
  const std::string path = shell_word(file.unreadable);
  if (file.unreadable == file.path || file.unreadable.ends_with("/forcetls"))
    return fmt::format("chgrp forcetls {0} && chmod g+rX {0}", path);
  if (file.unreadable == "/root") return "keep policy_db elsewhere";
  return fmt::format("keep policy_db elsewhere, or: setfacl -m g:forcetls:x {}", path);
}

void examine_policy_file(const PolicyFile& file, Findings& found) {
  const std::string path = shell_word(file.path);
  if (file.is_wal)
    found.push_back({"policy-db-wal", Severity::Warning, Certainty::Certain, file.path,
                     "The database is in WAL mode, in which the daemons do not read it: once they "
                     "restart, all mail waits.",
                     fmt::format("sqlite3 {} 'PRAGMA journal_mode = DELETE'", path)});
  if (!file.unreadable.empty())
    found.push_back(
        {"policy-db-owner", Severity::Warning, Certainty::Likely, file.path,
         fmt::format(
             "The user forcetls cannot read it, by the owner and mode of {}: the daemons go "
             "on with the policy that they know, and once they restart all mail waits.",
             file.unreadable),
         let_daemons_pass(file)});
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
