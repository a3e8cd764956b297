#include "policyd/socketmap.h"

#include <fmt/format.h>

namespace forcetls {
namespace {

constexpr std::size_t kMaxLengthDigits = 5;  // those of kMaxMapRequestBytes

struct Length {
  std::size_t value;
  std::size_t digits;
};

Result<Length> parse_length(std::string_view bytes) {
  Length length{0, 0};
  while (length.digits < bytes.size() && bytes[length.digits] >= '0' &&
         bytes[length.digits] <= '9') {
    if (length.digits == kMaxLengthDigits) return fail(ErrorCode::TooLong, "length of netstring");
    length.value = length.value * 10 + static_cast<std::size_t>(bytes[length.digits++] - '0');
  }
  if (length.digits == bytes.size()) return fail(ErrorCode::Incomplete, {});
  if (length.digits == 0 || bytes[length.digits] != ':')
    return fail(ErrorCode::Malformed, "not a netstring");
  if (length.value > kMaxMapRequestBytes) return fail(ErrorCode::TooLong, "length of netstring");
  return length;
}

}  // namespace

Result<MapRequest> parse_map_request(std::string_view bytes) {
  const auto length = parse_length(bytes);
  if (!length) return fail(length.error());
  const std::size_t begin = length->digits + 1;
  if (bytes.size() < begin + length->value + 1) return fail(ErrorCode::Incomplete, {});
  if (bytes[begin + length->value] != ',')
    return fail(ErrorCode::Malformed, "netstring without its comma");
  const std::string_view body = bytes.substr(begin, length->value);
  const auto blank = body.find(' ');
  if (blank == body.npos) return fail(ErrorCode::Malformed, "request without map name and key");
  return MapRequest{body.substr(0, blank), body.substr(blank + 1), begin + length->value + 1};
}

void append_netstring(std::string& out, std::string_view reply) {
  out += fmt::format_int(reply.size()).c_str();
  out += ':';
  out += reply;
  out += ',';
}

}  // namespace forcetls
