// Whether a socket answers a service of Postfix: asked as that service would, as its user and from
// inside its chroot.
#pragma once

#include <string>

namespace forcetls {

struct SocketProbe {
  std::string queue_directory;  ///< where relative paths begin, and the root of the chroot
  std::string user;             ///< mail_owner
  std::string address;          ///< unix:PATH, inet:HOST:PORT
  bool chrooted = false;
};

/// Empty if somebody accepts the connection, else the system's reason. Needs root; without it the
/// question is asked as whoever asks, and outside the chroot.
std::string why_unreachable(const SocketProbe& probe);

}  // namespace forcetls
