#include "milter/listener.h"

#include <fmt/format.h>
#include <libmilter/mfapi.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "shared/base/cannot_start.h"
#include "shared/base/unix_socket.h"

namespace forcetls {
namespace {

/// libmilter's own default is 5 at most; each SMTP session of a burst is one connection.
constexpr int kBacklog = 1024;
/// How long an idle MTA is waited for: a client may take its time between DATA and the dot, and
/// the MTA says nothing to us meanwhile. libmilter's own default.
constexpr std::chrono::seconds kIdleTimeout{7210};

[[noreturn]] void give_up(const std::string& address, const std::string& why) {
  throw CannotStart(EX_CONFIG, fmt::format("cannot listen on {}: {}", address, why));
}

/// libmilter says in the syslog what went wrong, and to us only that it did; errno is mostly right.
void hand_over(std::string address, const std::string& shown) {
  ::smfi_settimeout(static_cast<int>(kIdleTimeout.count()));
  ::smfi_setbacklog(kBacklog);
  if (::smfi_setconn(address.data()) != MI_SUCCESS)
    give_up(shown, "libmilter does not take the address");
  errno = 0;
  if (::smfi_opensocket(false) != MI_SUCCESS)
    give_up(shown, errno != 0 ? std::strerror(errno) : "see the syslog");
}

}  // namespace

std::string libmilter_address(const ListenAddress& address) {
  if (address.kind == ListenAddress::Kind::Unix) return "unix:" + address.path;
  const std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("{}:{}@[{}]", v6 ? "inet6" : "inet", address.port, host);
}

void open_listener(const ListenAddress& address, const std::string& socket_group) {
  const bool is_unix = address.kind == ListenAddress::Kind::Unix;
  if (is_unix) clear_socket_path(address.path);
  {
    const SocketModeScope mode;
    hand_over(libmilter_address(address), address.text());
  }
  if (is_unix) give_socket_to_group(address.path, socket_group);
}

void adopt_listener(int descriptor) {
  const std::string address = fmt::format("fd:{}", descriptor);
  hand_over(address, address);
}

}  // namespace forcetls
