// The service manager: readiness, watchdog, inherited sockets (sd_notify(3), sd_listen_fds(3)).
// Without systemd all of it does nothing.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace forcetls::systemd {

struct InheritedSocket {
  int descriptor;
  std::string name;  ///< FileDescriptorName= of the socket unit
};

/// The sockets that were passed to this process, if any. Throws CannotStart if they cannot be read.
std::vector<InheritedSocket> inherited_sockets();

void notify_ready();
void notify_alive();
void notify_stopping();

/// How often systemd wants a sign of life; nothing if it wants none.
std::optional<std::chrono::microseconds> watchdog_interval();

}  // namespace forcetls::systemd
