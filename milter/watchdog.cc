#include "milter/watchdog.h"

#include "shared/base/systemd.h"

namespace forcetls {

Watchdog::Watchdog() {
  const auto interval = systemd::watchdog_interval();
  if (!interval) return;
  thread_ = std::thread([this, pause = *interval / 2] {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, pause, [this] { return stopping_; })) systemd::notify_alive();
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

}  // namespace forcetls
