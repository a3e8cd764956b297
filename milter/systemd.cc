#include "milter/systemd.h"

#include <systemd/sd-daemon.h>

#include <chrono>
#include <cstdint>

#include "shared/base/cannot_start.h"

namespace forcetls::systemd {

std::optional<int> inherited_socket() {
  const int count = ::sd_listen_fds(1);
  if (count < 0) throw CannotStart(EX_OSERR, "the socket inherited from systemd cannot be read");
  if (count == 0) return std::nullopt;
  if (count > 1)
    throw CannotStart(EX_CONFIG,
                      "systemd passed several sockets: a milter serves one, so write "
                      "one ListenStream= in the socket unit");
  return SD_LISTEN_FDS_START;
}

void notify_ready() { ::sd_notify(0, "READY=1"); }
void notify_stopping() { ::sd_notify(0, "STOPPING=1"); }

Watchdog::Watchdog() {
  std::uint64_t interval_us = 0;
  if (::sd_watchdog_enabled(0, &interval_us) <= 0) return;
  const std::chrono::microseconds pause(interval_us / 2);
  thread_ = std::thread([this, pause] {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, pause, [this] { return stopping_; })) ::sd_notify(0, "WATCHDOG=1");
  });
}

Watchdog::~Watchdog() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

}  // namespace forcetls::systemd
