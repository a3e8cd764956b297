#include "milter/watchdog.h"

#include <algorithm>

#include "shared/base/systemd.h"

namespace forcetls {

Watchdog::Watchdog(const SelfProbe& probe, const Log& log) : probe_(probe), log_(log) {
  if (const auto interval = systemd::watchdog_interval())
    thread_ = std::thread([this, pause = *interval / 2] { watch(pause); });
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

void Watchdog::watch(std::chrono::microseconds pause) {
  // Connecting, sending and the answer together take one pause at most: the next sign, half an
  // interval later, is still in time.
  const auto patience = std::max(std::chrono::duration_cast<std::chrono::seconds>(pause / 3),
                                 std::chrono::seconds(1));
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, pause, [this] { return stopping_; })) {
    lock.unlock();
    if (probe_.answers(patience))
      systemd::notify_alive();
    else
      log_.error("no answer on our own socket: systemd gets no sign of life, and restarts us");
    lock.lock();
  }
}

}  // namespace forcetls
