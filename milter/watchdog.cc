#include "milter/watchdog.h"

#include "shared/base/systemd.h"

namespace forcetls {

Watchdog::Watchdog(const SelfProbe& probe, const Log& log) : probe_(probe), log_(log) {
  if (const auto interval = systemd::watchdog_interval())
    thread_ = std::thread([this, pause = *interval / 4] { watch(pause); });
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
  // After two probes in a row without an answer the third is over three pauses and three times the
  // patience after the last sign: less than four pauses, which are the interval.
  const auto patience = pause / 4;
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, pause, [this] { return stopping_; })) {
    lock.unlock();
    if (probe_.answers(patience))
      systemd::notify_alive();
    else
      log_.error(
          "no answer on our own socket: systemd gets no sign of life, and restarts us if that goes "
          "on");
    lock.lock();
  }
}

}  // namespace forcetls
