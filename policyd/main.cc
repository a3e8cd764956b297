// forcetls-policyd: answers Postfix's and Sendmail's lookups from policy.db.
#include <fmt/format.h>

#include <csignal>

#include "policyd/listener.h"
#include "policyd/options.h"
#include "policyd/server.h"
#include "shared/base/cannot_start.h"
#include "shared/base/daemon.h"
#include "shared/base/systemd.h"

namespace forcetls {
namespace {

constexpr const char* kProgram = "forcetls-policyd";
// Inside the queue directory, since Debian runs Postfix's daemons chrooted there.
constexpr const char* kDefaultMapSocket = "/var/spool/postfix/forcetls/map.sock";
constexpr const char* kDefaultPolicySocket = "/var/spool/postfix/forcetls/policy.sock";

/// For the policy file, the listeners, the log.
constexpr std::size_t kOtherDescriptors = 32;

Service service_named(const std::string& name) {
  for (const Service service : {Service::Map, Service::Policy})
    if (to_text(service) == name) return service;
  throw CannotStart(EX_CONFIG, fmt::format("systemd passed a socket named '{}': set "
                                           "FileDescriptorName= to map or policy",
                                           name));
}

void open_configured(asio::io_context& io, const Config& config, const Log& log, Server& server) {
  auto maps = config.listen_map;
  auto policies = config.listen_policy;
  if (maps.empty() && policies.empty()) {
    maps = {ListenAddress::unix_socket(kDefaultMapSocket)};
    policies = {ListenAddress::unix_socket(kDefaultPolicySocket)};
  }
  const auto open = [&](Service service, const ListenAddress& address) {
    server.listen(service, open_listener(io, address, config.socket_group));
    log.info("listening: {} for {}", address.text(), to_text(service));
  };
  for (const auto& address : maps) open(Service::Map, address);
  for (const auto& address : policies) open(Service::Policy, address);
}

/// Inherited sockets beat the configured addresses.
void open_listeners(asio::io_context& io, const Config& config, const Log& log, Server& server) {
  const auto inherited = systemd::inherited_sockets();
  for (const auto& socket : inherited) {
    server.listen(service_named(socket.name), adopt_listener(io, socket.descriptor));
    log.info("listening: a socket of systemd's for {}", socket.name);
  }
  if (inherited.empty()) open_configured(io, config, log, server);
}

/// So many that clients never take the descriptors that the policy file needs: then no edit would
/// come into force, and nobody would give way either.
std::size_t most_connections(std::size_t wanted, std::size_t descriptors, const Log& log) {
  const std::size_t most =
      descriptors > 2 * kOtherDescriptors ? descriptors - kOtherDescriptors : descriptors / 2;
  if (wanted <= most || most == 0) return wanted;
  log.warning("max_connections is {}, but the limit of open files (RLIMIT_NOFILE) allows {}",
              wanted, most);
  return most;
}

int run(const std::optional<Options>& options) {
  if (!options) return EX_OK;
  const Config& config = options->config;
  const auto sink = open_log(kProgram, options->foreground);
  const Log log(*sink, config.log_level);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGHUP,
              SIG_IGN);  // there is nothing to reload, and a closed terminal must not stop mail
  const std::size_t descriptors = raise_descriptor_limit();
  asio::io_context io(ASIO_CONCURRENCY_HINT_UNSAFE);  // one thread: no locks
  SystemClock clock;
  PolicySource source(config.policy_db, log);
  Server server(io, source, clock, log, most_connections(config.max_connections, descriptors, log));
  open_listeners(io, config, log, server);
  if (source.current() == nullptr)
    log.warning("ready, but without a policy: all mail waits until {} can be read",
                config.policy_db);
  else
    log.info("ready: policy {}", config.policy_db);
  server.run();
  log.info("ended");
  return EX_OK;
}

}  // namespace
}  // namespace forcetls

int main(int argc, char** argv) {
  return forcetls::guarded_main(argv[0],
                                [&] { return forcetls::run(forcetls::parse_options(argc, argv)); });
}
