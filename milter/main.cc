// forcetls-milter: refuses at SMTP time what the TLS policy would hold in the queue, or what would
// go round it.
#include <libmilter/mfapi.h>

#include <csignal>
#include <cstdlib>

#include "milter/callbacks.h"
#include "milter/listener.h"
#include "milter/options.h"
#include "milter/watchdog.h"
#include "shared/base/cannot_start.h"
#include "shared/base/daemon.h"
#include "shared/base/systemd.h"
#include "shared/db/policy_source.h"

namespace forcetls {
namespace {

constexpr const char* kProgram = "forcetls-milter";
// Inside the queue directory, since Debian runs Postfix's daemons chrooted there.
constexpr const char* kDefaultSocket = "/var/spool/postfix/forcetls/milter.sock";

/// libmilter waits for these in a thread of its own, so every other thread must leave them alone.
void leave_signals_to_libmilter() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

/// An inherited socket beats the configured address.
Listening listen(const Config& config, const Log& log) {
  const auto inherited = systemd::inherited_sockets();
  if (inherited.size() > 1)
    throw CannotStart(EX_CONFIG,
                      "systemd passed several sockets: a milter serves one, so write one "
                      "ListenStream= in the socket unit");
  if (!inherited.empty()) {
    adopt_listener(inherited.front().descriptor);
    log.info("ready: listening on a socket of systemd's, policy {}", config.policy_db);
    const int descriptor = inherited.front().descriptor;
    return {SelfProbe::of_listener(descriptor), SocketFile(descriptor)};
  }
  const auto address = config.listen_milter.empty() ? ListenAddress::unix_socket(kDefaultSocket)
                                                    : config.listen_milter.front();
  open_listener(address, config.socket_group);
  log.info("ready: listening on {}, policy {}", address.text(), config.policy_db);
  return {SelfProbe::of_address(address)};
}

/// libmilter's workers outlive smfi_main(), and nothing joins them: what they may be using must not
/// be destroyed. Messages in flight lose their connection, which the MTA takes for a tempfail;
/// waiting would not help them, since the workers answer nothing any more.
[[noreturn]] void end(int status) { std::_Exit(status); }

int run(const std::optional<Options>& options) {
  if (!options) return EX_OK;
  const Config& config = options->config;
  const auto sink = open_log(kProgram, options->foreground);
  const Log log(*sink, config.log_level);
  leave_signals_to_libmilter();
  static_cast<void>(raise_descriptor_limit());
  PolicySource source(config.policy_db, log);
  SystemClock clock;
  Surroundings surroundings{[&source] { return source.current(); }, clock, log};
  register_callbacks(surroundings);
  const Watchdog watchdog(listen(config, log), log);
  systemd::notify_ready();
  const int served = ::smfi_main();
  systemd::notify_stopping();
  log.info("ended");
  end(served == MI_SUCCESS ? EX_OK : EX_SOFTWARE);
}

}  // namespace
}  // namespace forcetls

int main(int argc, char** argv) {
  return forcetls::guarded_main(argv[0],
                                [&] { return forcetls::run(forcetls::parse_options(argc, argv)); });
}
