// Time that a test sets by hand.
#pragma once

#include <atomic>
#include <chrono>

#include "shared/base/clock.h"

namespace forcetls {

/// Stands still until it is told otherwise. Any thread. Unlike the real one it can be set back, to
/// see that its callers do not revive what has ended.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(std::chrono::sys_seconds start) : now_(start.time_since_epoch().count()) {}

  std::chrono::sys_seconds now() override {
    return std::chrono::sys_seconds(std::chrono::seconds(now_.load()));
  }
  void set(std::chrono::sys_seconds now) { now_ = now.time_since_epoch().count(); }
  void advance(std::chrono::seconds by) { now_ += by.count(); }

 private:
  std::atomic<std::chrono::seconds::rep> now_;
};

}  // namespace forcetls
