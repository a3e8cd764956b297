// Whether a socket answers a service of Postfix: asked as that service would, as its user and from
// inside its chroot.
#pragma once

#include <string>
#include <string_view>

#include "shared/base/result.h"

namespace forcetls {

struct SocketProbe {
  std::string queue_directory;  ///< where relative paths begin, and the root of the chroot
  std::string user;             ///< mail_owner
  std::string address;          ///< unix:PATH, inet:HOST:PORT
  bool chrooted = false;
  std::string request{};   ///< sent once it is connected; empty: that is enough
  std::string_view end{};  ///< of the reply; must outlive the question
};

struct SocketAnswer {
  int failure = 0;      ///< the errno of connecting; ETIMEDOUT also if the reply takes too long
  std::string reply{};  ///< as far as it came
};

/// Without root the question is asked as whoever asks, and outside the chroot. To inet addresses
/// nothing is sent. One thread only. Errors: System: it could not be asked (no such user
/// ...); Malformed: no such address.
Result<SocketAnswer> ask_socket(const SocketProbe& probe);

/// Empty if somebody accepts the connection, else the system's reason.
std::string why_unreachable(const SocketProbe& probe);

}  // namespace forcetls
