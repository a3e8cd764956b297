// Signs of life for systemd (sd_watchdog_enabled(3)), beside libmilter, which keeps its thread.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

namespace forcetls {

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

}  // namespace forcetls
