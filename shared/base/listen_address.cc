#include "shared/base/listen_address.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <charconv>

namespace forcetls {
namespace {

tl::unexpected<Error> wrong(std::string_view text, std::string_view what) {
  return fail(ErrorCode::Malformed, "address '" + std::string(text) + "': " + std::string(what) +
                                        "; write unix:/PATH or inet:127.0.0.1:PORT");
}

bool is_loopback_host(std::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  in_addr address{};
  return host.starts_with("127.") && ::inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
}

Result<ListenAddress> parse_unix(std::string_view text, std::string_view path) {
  if (!path.starts_with('/')) return wrong(text, "the socket's path must be absolute");
  if (path.size() >= sizeof(sockaddr_un::sun_path)) return wrong(text, "the path is too long");
  if (path.find('\0') != path.npos) return wrong(text, "the path has a NUL byte");
  return ListenAddress{ListenAddress::Kind::Unix, std::string(path), {}, 0};
}

Result<ListenAddress> parse_inet(std::string_view text, std::string_view rest) {
  const auto colon = rest.rfind(':');
  if (colon == rest.npos) return wrong(text, "the port is missing");
  std::string_view host = rest.substr(0, colon);
  const std::string_view digits = rest.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (!is_loopback_host(host)) return wrong(text, "only loopback addresses are allowed");
  std::uint16_t port = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (problem != std::errc() || end != digits.data() + digits.size() || port == 0)
    return wrong(text, "the port must be a number from 1 to 65535");
  return ListenAddress{ListenAddress::Kind::Inet, {}, std::string(host), port};
}

}  // namespace

Result<ListenAddress> ListenAddress::parse(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  constexpr std::string_view kInet = "inet:";
  if (text.starts_with(kUnix)) return parse_unix(text, text.substr(kUnix.size()));
  if (text.starts_with(kInet)) return parse_inet(text, text.substr(kInet.size()));
  return wrong(text, "it must begin with unix: or inet:");
}

std::string ListenAddress::text() const {
  if (kind == Kind::Unix) return "unix:" + path;
  const bool v6 = host.find(':') != std::string::npos;
  return "inet:" + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace forcetls
