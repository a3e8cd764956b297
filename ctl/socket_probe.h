// Whether a socket answers a service of Postfix: asked as that service would, as its user and from
// inside its chroot.
#pragma once

#include <cstddef>
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
  std::size_t size = 0;    ///< of a reply that has no end of its own
};

struct SocketAnswer {
  int failure = 0;      ///< the errno of connecting; ETIMEDOUT also if the reply takes too long
  std::string reply{};  ///< as far as it came
};

/// Without root the question is asked as whoever asks, and outside the chroot. One thread only.
/// Errors: System: it could not be asked (no such user ...); Malformed: no such address.
Result<SocketAnswer> ask_socket(const SocketProbe& probe);

/// Empty if somebody accepts the connection, else the system's reason.
std::string why_unreachable(const SocketProbe& probe);

/// Empty if a milter answers there, else why not. Only for ours: it offers options as an MTA does,
/// and ends the connection.
std::string why_no_milter(SocketProbe probe);

}  // namespace forcetls
