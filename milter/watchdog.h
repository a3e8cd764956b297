// Signs of life for systemd (sd_watchdog_enabled(3)), beside libmilter, which keeps its thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "milter/self_probe.h"
#include "shared/base/log.h"
#include "shared/base/socket_file.h"

namespace forcetls {

/// Where the milter listens.
struct Listening {
  SelfProbe probe;
  std::optional<SocketFile> file_of_systemd = {};
};

/// While it lives, gives a sign of life four times in each watchdog interval, from a thread of its
/// own, as long as the milter answers on its socket; none if systemd wants none. Two probes in a
/// row may miss their answer (a machine may be busy) before systemd misses a sign. Where a socket
/// of systemd's has lost its file nobody can ask, and a restart of the milter would not change
/// that: then it is alive, and says what to do.
class Watchdog {
 public:
  Watchdog(const Listening& listening, const Log& log);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  void watch(std::chrono::microseconds pause);
  bool is_alive(std::chrono::microseconds patience);

  Listening listening_;
  const Log& log_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace forcetls
