// What both ends of the benchmark share: netstrings, epoll and unix sockets, with as little as can
// be between them and the kernel.
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "shared/base/unique_fd.h"

namespace forcetls::bench {

[[noreturn]] inline void give_up(const char* what) {
  std::perror(what);
  std::exit(1);
}

inline sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) give_up("path too long");
  path.copy(address.sun_path, path.size());
  return address;
}

/// How many bytes the first netstring of `bytes` takes; 0 if it is not complete.
inline std::size_t netstring_size(std::string_view bytes) {
  std::size_t length = 0, digits = 0;
  while (digits < bytes.size() && bytes[digits] >= '0' && bytes[digits] <= '9')
    length = length * 10 + static_cast<std::size_t>(bytes[digits++] - '0');
  const std::size_t whole = digits + 1 + length + 1;
  return digits == 0 || bytes.size() < whole ? 0 : whole;
}

inline void watch(const UniqueFd& epoll, int descriptor, std::uint32_t place) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = place;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, descriptor, &event) != 0) give_up("epoll_ctl");
}

}  // namespace forcetls::bench
