#include "milter/watchdog.h"

#include "shared/base/systemd.h"

namespace forcetls {

Watchdog::Watchdog(const Listening& listening, const Log& log) : listening_(listening), log_(log) {
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

bool Watchdog::is_alive(std::chrono::microseconds patience) {
  if (listening_.file_of_systemd && listening_.file_of_systemd->is_lost()) {
    listening_.file_of_systemd->tell_if_lost(log_, std::chrono::steady_clock::now());
    return true;
  }
  return listening_.probe.answers(patience);
}

void Watchdog::watch(std::chrono::microseconds pause) {
  // After two probes in a row without an answer the third is over three pauses and three times the
  // patience after the last sign: less than four pauses, which are the interval.
  const auto patience = pause / 4;
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, pause, [this] { return stopping_; })) {
    lock.unlock();
    if (is_alive(patience))
      systemd::notify_alive();
    else
      log_.error(
          "no answer on our own socket: systemd gets no sign of life, and restarts us if that goes "
          "on");
    lock.lock();
  }
}

}  // namespace forcetls
