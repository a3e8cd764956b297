// forcetls-milter: refuses at SMTP time what the TLS policy would hold in the queue, or what would
// go round it.
#include <fmt/format.h>
#include <libmilter/mfapi.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <memory>

#include "milter/callbacks.h"
#include "milter/listener.h"
#include "milter/options.h"
#include "milter/systemd.h"
#include "shared/base/cannot_start.h"
#include "shared/db/policy_source.h"

namespace forcetls {
namespace {

constexpr const char* kProgram = "forcetls-milter";
// Inside the queue directory, since Debian runs Postfix's daemons chrooted there.
constexpr const char* kDefaultSocket = "/var/spool/postfix/forcetls/milter.sock";

std::unique_ptr<LogSink> open_log(bool foreground) {
  if (foreground) return std::make_unique<StderrSink>(kProgram);
  return std::make_unique<SyslogSink>(kProgram);
}

/// libmilter waits for these in a thread of its own, so every other thread must leave them alone.
void leave_signals_to_libmilter() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// An inherited socket beats the configured address.
void listen(const Config& config, const Log& log) {
  if (const auto inherited = systemd::inherited_socket()) {
    adopt_listener(*inherited);
    log.info("ready: listening on a socket of systemd's, policy {}", config.policy_db);
    return;
  }
  const auto address = config.listen_milter.empty() ? ListenAddress::unix_socket(kDefaultSocket)
                                                    : config.listen_milter.front();
  open_listener(address, config.socket_group);
  log.info("ready: listening on {}, policy {}", address.text(), config.policy_db);
}

/// libmilter's workers outlive smfi_main(), and nothing joins them: what they may be using must not
/// be destroyed. Messages in flight lose their connection, which the MTA takes for a tempfail;
/// waiting would not help them, since the workers answer nothing any more.
[[noreturn]] void end(int status) { std::_Exit(status); }

int run(const std::optional<Options>& options) {
  if (!options) return EX_OK;
  const Config& config = options->config;
  const auto sink = open_log(options->foreground);
  const Log log(*sink, config.log_level);
  leave_signals_to_libmilter();
  raise_descriptor_limit();
  PolicySource source(config.policy_db, log);
  SystemClock clock;
  Surroundings surroundings{[&source] { return source.current(); }, clock, log};
  register_callbacks(surroundings);
  listen(config, log);
  const systemd::Watchdog watchdog;
  systemd::notify_ready();
  const int served = ::smfi_main();
  systemd::notify_stopping();
  log.info("ended");
  end(served == MI_SUCCESS ? EX_OK : EX_SOFTWARE);
}

}  // namespace
}  // namespace forcetls

int main(int argc, char** argv) try {
  return forcetls::run(forcetls::parse_options(argc, argv));
} catch (const forcetls::CannotStart& error) {
  fmt::print(stderr, "{}: {}\n", argv[0], error.what());
  return error.exit_status();
} catch (const std::exception& error) {
  fmt::print(stderr, "{}: {}\n", argv[0], error.what());
  return EX_CONFIG;
}
