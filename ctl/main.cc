// forcetls: the administrator's command.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "ctl/command.h"
#include "shared/base/cannot_start.h"

namespace forcetls {
namespace {

constexpr const char* kExamples = R"help(
Examples:
  forcetls init --policy-db /var/lib/forcetls/policy.db
  sqlite3 /var/lib/forcetls/policy.db \
    "INSERT INTO domain_policy(domain, outbound) VALUES ('bank.example', 'secure')"
  forcetls check someone@bank.example
  forcetls check --json '[relay.example]:587'
  forcetls check --forced bank.example && echo "mail for bank.example never leaves in clear"

Exit status: 0 done, 1 not forced (check --forced), 64 wrong use, 65 not a domain, address or
next hop, 66 no such database, 75 try again (a name that cannot be converted: Postfix is told to
wait too), 78 not a policy database of this version.
)help";

struct Flags {
  std::string config_file, policy_db, evidence_db;
  CheckOptions check;
};

Config read_settings(const Flags& flags) {
  Config config;
  const std::string path = flags.config_file.empty() ? kDefaultConfigFile : flags.config_file;
  if (!flags.config_file.empty() || std::filesystem::exists(path)) {
    auto read = read_config(path);
    if (!read) throw CannotStart(EX_CONFIG, read.error().context);
    config = *std::move(read);
  }
  if (!flags.policy_db.empty()) config.policy_db = flags.policy_db;
  if (!flags.evidence_db.empty()) config.evidence_db = flags.evidence_db;
  return config;
}

void define_files(CLI::App& command, Flags& flags) {
  command.add_option("--config", flags.config_file,
                     fmt::format("Configuration file (default {})", kDefaultConfigFile));
  command.add_option(
      "--policy-db", flags.policy_db,
      fmt::format("SQLite database with the policy (default {})", Config().policy_db));
  command.add_option("--evidence-db", flags.evidence_db, "SQLite database with the evidence");
}

CLI::App& define_init(CLI::App& app, Flags& flags) {
  CLI::App& command = *app.add_subcommand(
      "init", "Create an empty policy database, or migrate an older one (with a backup)");
  define_files(command, flags);
  return command;
}

CLI::App& define_check(CLI::App& app, Flags& flags) {
  CLI::App& command =
      *app.add_subcommand("check", "Show which row decides for a domain, and what Postfix is told");
  define_files(command, flags);
  command.add_option("WHAT", flags.check.what, "DOMAIN, ADDRESS, [HOST], [HOST]:PORT or HOST:PORT")
      ->required();
  command.add_flag("--json", flags.check.json, "Print one JSON object");
  command.add_flag("--forced", flags.check.must_be_forced,
                   "Exit with status 1 unless mail there leaves over TLS or waits");
  return command;
}

int run(int argc, const char* const* argv) {
  CLI::App app("Forced TLS per partner: looks after the policy that Postfix asks for.", "forcetls");
  app.set_version_flag("--version", "forcetls " FORCETLS_VERSION);
  app.require_subcommand(1);
  app.footer(kExamples);
  Flags flags;
  const CLI::App& init = define_init(app, flags);
  define_check(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done);
  } catch (const CLI::ParseError& error) {
    throw CannotStart(EX_USAGE, fmt::format("{} (see forcetls --help)", error.what()));
  }
  const Config config = read_settings(flags);
  return init.parsed() ? run_init(config) : run_check(config, flags.check);
}

}  // namespace
}  // namespace forcetls

int main(int argc, char** argv) try {
  return forcetls::run(argc, argv);
} catch (const forcetls::CannotStart& error) {
  fmt::print(stderr, "forcetls: {}\n", error.what());
  return error.exit_status();
} catch (const std::exception& error) {
  fmt::print(stderr, "forcetls: {}\n", error.what());
  return EX_SOFTWARE;
}
