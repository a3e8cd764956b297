// The socketmap protocol as bytes (postfix: socketmap_table(5); Sendmail's is the same): requests
// and replies are netstrings, "12:tls bank.exam," and "3:OK ,". Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "shared/base/result.h"

namespace forcetls {

/// Postfix sends keys of at most 10,000 bytes (postfix: socketmap_table(5)); with the map's name
/// and room to spare.
constexpr std::size_t kMaxMapRequestBytes = 16'384;

struct MapRequest {
  std::string_view map;        ///< "tls"
  std::string_view key;        ///< may be empty or hold any bytes
  std::size_t wire_bytes = 0;  ///< how much of the input it took
};

/// Reads the first request in `bytes`. Views borrow from `bytes`. Errors: Incomplete if more bytes
/// may come; TooLong above kMaxMapRequestBytes; Malformed for what is no netstring of "map key".
Result<MapRequest> parse_map_request(std::string_view bytes);

/// Appends `reply` ("OK encrypt", "NOTFOUND ", "TEMP why") as a netstring.
void append_netstring(std::string& out, std::string_view reply);

}  // namespace forcetls
