#include "shared/base/systemd.h"

#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <memory>

#include "shared/base/cannot_start.h"

namespace forcetls::systemd {

std::vector<InheritedSocket> inherited_sockets() {
  char** raw_names = nullptr;
  const int count = ::sd_listen_fds_with_names(1, &raw_names);
  if (count < 0) throw CannotStart(EX_OSERR, "the sockets inherited from systemd cannot be read");
  std::vector<InheritedSocket> sockets;
  for (int i = 0; i < count; ++i) {
    const std::unique_ptr<char, decltype(&std::free)> name(raw_names[i], &std::free);
    sockets.push_back({SD_LISTEN_FDS_START + i, name.get()});
  }
  std::free(static_cast<void*>(raw_names));
  return sockets;
}

void notify_ready() { ::sd_notify(0, "READY=1"); }
void notify_alive() { ::sd_notify(0, "WATCHDOG=1"); }
void notify_stopping() { ::sd_notify(0, "STOPPING=1"); }

std::optional<std::chrono::microseconds> watchdog_interval() {
  std::uint64_t interval_us = 0;
  if (::sd_watchdog_enabled(0, &interval_us) <= 0) return std::nullopt;
  return std::chrono::microseconds(interval_us);
}

}  // namespace forcetls::systemd
