#include "policyd/options.h"

#include "shared/base/options.h"

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

SIGTERM and SIGINT end it when what was asked is answered; SIGHUP does nothing: edits of the policy
need no reload.
Exit status: 0 ended by SIGTERM or SIGINT, 64 wrong use, 78 wrong configuration or address in use.
)";

void apply_all(Config& config, std::vector<ListenAddress>& target, std::string_view name,
               const std::vector<std::string>& values) {
  if (!values.empty()) target.clear();
  for (const std::string& value : values) apply_flag(config, name, value);
}

}  // namespace

std::optional<Options> parse_options(int argc, const char* const* argv) {
  CommandLine line(
      {.name = "forcetls-policyd",
       .purpose = "Answers Postfix's questions on TLS: socketmap lookups and policy delegation.",
       .version = "forcetls-policyd " FORCETLS_VERSION,
       .examples = kExamples});
  CommonFlags flags;
  define_daemon(line, flags);
  std::vector<std::string> policy_addresses, map_addresses;
  line.list("--listen-policy", policy_addresses,
            "Address for policy delegation: unix:PATH or inet:HOST:PORT; repeatable");
  line.list("--listen-map", map_addresses,
            "Address for socketmap lookups: unix:PATH or inet:HOST:PORT; repeatable");
  if (line.parse(argc, argv)) return std::nullopt;
  Options options{read_settings(flags), flags.foreground};
  Config& config = options.config;
  apply_all(config, config.listen_policy, "listen_policy", policy_addresses);
  apply_all(config, config.listen_map, "listen_map", map_addresses);
  return options;
}

}  // namespace forcetls
