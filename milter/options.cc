#include "milter/options.h"

#include "shared/base/cannot_start.h"
#include "shared/base/options.h"

namespace forcetls {
namespace {

constexpr const char* kExamples = R"(
Postfix asks it (main.cf):
  smtpd_milters = { unix:forcetls/milter.sock, default_action=tempfail }
  non_smtpd_milters = { unix:forcetls/milter.sock, default_action=tempfail }

Examples:
  forcetls-milter --foreground --policy-db ./policy.db --listen inet:127.0.0.1:8462
  forcetls-milter --listen unix:/var/spool/postfix/forcetls/milter.sock

SIGTERM, SIGINT and SIGHUP end it; edits of the policy need no reload.
Exit status: 0 ended by a signal, 64 wrong use, 78 wrong configuration or address in use.
)";

void take_address(Config& config, const std::string& address) {
  if (!address.empty()) config.listen_milter.clear();
  apply_flag(config, "listen_milter", address);
  if (config.listen_milter.size() > 1)
    throw CannotStart(EX_CONFIG,
                      "listen_milter: write one address, a second one takes a second "
                      "forcetls-milter with its own --listen");
}

}  // namespace

std::optional<Options> parse_options(int argc, const char* const* argv) {
  CommandLine line(
      {.name = "forcetls-milter",
       .purpose = "Refuses mail that must come or leave over TLS and cannot: a milter for Postfix "
                  "and Sendmail.",
       .version = "forcetls-milter " FORCETLS_VERSION,
       .examples = kExamples});
  CommonFlags flags;
  define_daemon(line, flags);
  std::string address;
  line.option("--listen", address, "Address for the MTA: unix:PATH or inet:HOST:PORT");
  if (line.parse(argc, argv)) return std::nullopt;
  Options options{read_settings(flags), flags.foreground};
  take_address(options.config, address);
  return options;
}

}  // namespace forcetls
