// The service manager: readiness, watchdog, inherited sockets (sd_notify(3), sd_listen_fds(3)).
// Without systemd all of it does nothing.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

namespace forcetls::systemd {

/// The socket that was passed to this process, if any. Throws CannotStart for more than one:
/// libmilter serves one address.
std::optional<int> inherited_socket();

void notify_ready();
void notify_stopping();

/// Gives a sign of life twice in each watchdog interval, from a thread of its own, while it lives;
/// none if systemd wants none.
class Watchdog {
 public:
  Watchdog();
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace forcetls::systemd
