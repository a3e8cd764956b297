#include "milter/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "shared/base/cannot_start.h"

namespace forcetls {
namespace {

constexpr const char* kExamples = R"(
Postfix asks it (main.cf):
  smtpd_milters = { unix:forcetls/milter.sock, default_action=tempfail }
  non_smtpd_milters = { unix:forcetls/milter.sock, default_action=tempfail }

Examples:
  forcetls-milter --foreground --policy-db ./policy.db --listen inet:127.0.0.1:8462
  forcetls-milter --listen unix:/var/spool/postfix/forcetls/milter.sock

Exit status: 0 ended by a signal, 64 wrong use, 78 wrong configuration or address in use.
)";

struct Flags {
  std::string config_file;
  std::string policy_db, evidence_db, listen, log_level;
  bool foreground = false;
};

void define(CLI::App& app, Flags& flags) {
  app.set_version_flag("--version", "forcetls-milter " FORCETLS_VERSION);
  app.add_option("--config", flags.config_file,
                 fmt::format("Configuration file (default {})", kDefaultConfigFile));
  app.add_option("--policy-db", flags.policy_db, "SQLite database with the policy; only read");
  app.add_option("--evidence-db", flags.evidence_db, "SQLite database with the evidence");
  app.add_option("--listen", flags.listen, "Address for the MTA: unix:PATH or inet:HOST:PORT");
  app.add_option("--log-level", flags.log_level, "error, warning, info (default) or debug");
  app.add_flag("--foreground", flags.foreground,
               "Log to stderr instead of syslog (it never detaches)");
  app.footer(kExamples);
}

Config read_file(const std::string& named) {
  const std::string path = named.empty() ? kDefaultConfigFile : named;
  if (named.empty() && !std::filesystem::exists(path)) return {};
  auto config = read_config(path);
  if (!config) throw CannotStart(EX_CONFIG, config.error().context);
  return *std::move(config);
}

void apply(Config& config, std::string_view name, const std::string& value) {
  if (value.empty()) return;
  const auto applied = apply_config_line(config, name, value);
  if (!applied) throw CannotStart(EX_USAGE, applied.error().context);
}

void apply_all(Config& config, const Flags& flags) {
  apply(config, "policy_db", flags.policy_db);
  apply(config, "evidence_db", flags.evidence_db);
  apply(config, "log_level", flags.log_level);
  if (!flags.listen.empty()) config.listen_milter.clear();
  apply(config, "listen_milter", flags.listen);
  if (config.listen_milter.size() > 1)
    throw CannotStart(EX_CONFIG,
                      "listen_milter: write one address, a second one takes a second "
                      "forcetls-milter with its own --listen");
}

}  // namespace

std::optional<Options> parse_options(int argc, const char* const* argv) {
  CLI::App app(
      "Refuses mail that must come or leave over TLS and cannot: a milter for Postfix and "
      "Sendmail.",
      "forcetls-milter");
  Flags flags;
  define(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    app.exit(done);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    throw CannotStart(EX_USAGE, fmt::format("{} (see --help)", error.what()));
  }
  Options options{read_file(flags.config_file), flags.foreground};
  apply_all(options.config, flags);
  return options;
}

}  // namespace forcetls
