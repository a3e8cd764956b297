#include "policyd/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "shared/base/cannot_start.h"

namespace forcetls {
namespace {

constexpr const char* kExamples = R"(
Postfix asks it (main.cf):
  smtp_tls_policy_maps = socketmap:unix:forcetls/map.sock:tls
  smtpd_recipient_restrictions = check_policy_service { unix:forcetls/policy.sock, ... }, ...

Examples:
  forcetls-policyd --foreground --policy-db ./policy.db --listen-map inet:127.0.0.1:8461
  forcetls-policyd --listen-map unix:/var/spool/postfix/forcetls/map.sock \
                   --listen-policy unix:/var/spool/postfix/forcetls/policy.sock

Exit status: 0 ended by a signal, 64 wrong use, 78 wrong configuration or address in use.
)";

struct Flags {
  std::string config_file;
  std::string policy_db, evidence_db, log_level;
  std::vector<std::string> listen_policy, listen_map;
  bool foreground = false;
};

void define(CLI::App& app, Flags& flags) {
  app.set_version_flag("--version", "forcetls-policyd " FORCETLS_VERSION);
  app.add_option("--config", flags.config_file,
                 fmt::format("Configuration file (default {})", kDefaultConfigFile));
  app.add_option("--policy-db", flags.policy_db, "SQLite database with the policy; only read");
  app.add_option("--evidence-db", flags.evidence_db, "SQLite database with the evidence");
  app.add_option("--listen-policy", flags.listen_policy,
                 "Address for policy delegation: unix:PATH or inet:HOST:PORT; repeatable")
      ->allow_extra_args(false);
  app.add_option("--listen-map", flags.listen_map,
                 "Address for socketmap lookups: unix:PATH or inet:HOST:PORT; repeatable")
      ->allow_extra_args(false);
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

void apply_all(Config& config, std::vector<ListenAddress>& target, std::string_view name,
               const std::vector<std::string>& values) {
  if (!values.empty()) target.clear();
  for (const std::string& value : values) apply(config, name, value);
}

}  // namespace

std::optional<Options> parse_options(int argc, const char* const* argv) {
  CLI::App app("Answers Postfix's questions on TLS: socketmap lookups and policy delegation.",
               "forcetls-policyd");
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
  Config& config = options.config;
  apply(config, "policy_db", flags.policy_db);
  apply(config, "evidence_db", flags.evidence_db);
  apply(config, "log_level", flags.log_level);
  apply_all(config, config.listen_policy, "listen_policy", flags.listen_policy);
  apply_all(config, config.listen_map, "listen_map", flags.listen_map);
  return options;
}

}  // namespace forcetls
