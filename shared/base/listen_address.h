// Where a daemon listens: unix:PATH or inet:HOST:PORT, the one spelling of all our programs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "shared/base/result.h"

namespace forcetls {

struct ListenAddress {
  enum class Kind { Unix, Inet };
  Kind kind = Kind::Unix;
  std::string path;  ///< Unix
  std::string host;  ///< Inet: 127.0.0.1, ::1 (without brackets) or localhost
  std::uint16_t port = 0;

  /// unix:PATH (absolute, at most 107 bytes) or inet:HOST:PORT (loopback only, IPv6 in brackets).
  /// Errors: Malformed, with what to write instead.
  static Result<ListenAddress> parse(std::string_view text);
  static ListenAddress unix_socket(std::string path) {
    return {Kind::Unix, std::move(path), {}, 0};
  }
  /// The spelling that parse() takes.
  std::string text() const;
};

}  // namespace forcetls
