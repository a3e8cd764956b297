// Whether this milter answers, asked as an MTA would: over its own socket.
#pragma once

#include <sys/socket.h>

#include <chrono>

#include "shared/base/listen_address.h"

namespace forcetls {

class SelfProbe {
 public:
  /// The address that libmilter was told to listen on.
  static SelfProbe of_address(const ListenAddress& address);
  /// The address of a listening socket. Throws CannotStart, EX_OSERR, if it has none.
  static SelfProbe of_listener(int descriptor);

  /// Connects and offers options as an MTA does first. True if a milter answers; connecting,
  /// sending and the answer together take `patience` at most.
  bool answers(std::chrono::microseconds patience) const;

 private:
  sockaddr_storage address_{};
  socklen_t size_ = 0;
};

}  // namespace forcetls
