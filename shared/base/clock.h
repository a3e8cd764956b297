// Wall clock as the policy needs it: suspensions begin and end by it, to the second.
#pragma once

#include <atomic>
#include <chrono>

namespace forcetls {

/// Seam: tests set the time by hand.
class Clock {
 public:
  virtual ~Clock() = default;
  /// UTC. Never goes back while the program runs. Any thread.
  virtual std::chrono::sys_seconds now() = 0;
};

/// The system's clock, held at its highest value so far: a clock that is set back must not revive
/// a suspension that has ended.
class SystemClock final : public Clock {
 public:
  std::chrono::sys_seconds now() override {
    using std::chrono::system_clock;
    const auto read =
        std::chrono::time_point_cast<std::chrono::seconds>(system_clock::now()).time_since_epoch();
    auto highest = highest_.load(std::memory_order_relaxed);
    while (read.count() > highest &&
           !highest_.compare_exchange_weak(highest, read.count(), std::memory_order_relaxed)) {
    }
    return std::chrono::sys_seconds(
        std::chrono::seconds(read.count() > highest ? read.count() : highest));
  }

 private:
  std::atomic<std::chrono::seconds::rep> highest_{0};
};

}  // namespace forcetls
