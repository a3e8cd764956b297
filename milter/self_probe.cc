#include "milter/self_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "shared/base/cannot_start.h"
#include "shared/base/milter_hello.h"
#include "shared/base/unique_fd.h"

namespace forcetls {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// Lets each call on the connection wait until then; false: it is then already.
bool wait_until(int connection, SteadyClock::time_point end) {
  const auto left = std::chrono::duration_cast<std::chrono::microseconds>(end - SteadyClock::now());
  if (left.count() <= 0) return false;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  const timeval deadline{seconds.count(), (left - seconds).count()};
  return ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline) == 0 &&
         ::setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline) == 0;
}

/// Whether all of an answer came in time, and it is one to the offer.
bool read_answer(int connection, SteadyClock::time_point end) {
  std::string answer(kMilterAnswerSize, '\0');
  std::size_t have = 0;
  while (have < answer.size()) {
    if (!wait_until(connection, end)) return false;
    const ssize_t count = ::recv(connection, answer.data() + have, answer.size() - have, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    have += static_cast<std::size_t>(count);
  }
  return is_milter_answer(answer);
}

bool send_all(int connection, std::string_view bytes) {
  return ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

}  // namespace

SelfProbe SelfProbe::of_address(const ListenAddress& address) {
  SelfProbe probe;
  if (address.kind == ListenAddress::Kind::Unix) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    address.path.copy(name.sun_path, sizeof name.sun_path - 1);
    std::memcpy(&probe.address_, &name, probe.size_ = sizeof name);
  } else if (address.host.find(':') != std::string::npos) {
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_port = htons(address.port);
    ::inet_pton(AF_INET6, address.host.c_str(), &name.sin6_addr);
    std::memcpy(&probe.address_, &name, probe.size_ = sizeof name);
  } else {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(address.port);
    const std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
    ::inet_pton(AF_INET, host.c_str(), &name.sin_addr);
    std::memcpy(&probe.address_, &name, probe.size_ = sizeof name);
  }
  return probe;
}

SelfProbe SelfProbe::of_listener(int descriptor) {
  SelfProbe probe;
  probe.size_ = sizeof probe.address_;
  auto* address = reinterpret_cast<sockaddr*>(&probe.address_);
  if (::getsockname(descriptor, address, &probe.size_) != 0)
    throw CannotStart(EX_OSERR, std::string("the inherited socket: ") + std::strerror(errno));
  return probe;
}

bool SelfProbe::answers(std::chrono::microseconds patience) const {
  const auto end = SteadyClock::now() + patience;
  const UniqueFd connection(::socket(address_.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection || !wait_until(connection.get(), end)) return false;
  const auto* address = reinterpret_cast<const sockaddr*>(&address_);
  if (::connect(connection.get(), address, size_) != 0) return false;
  if (!wait_until(connection.get(), end) || !send_all(connection.get(), kMilterOffer) ||
      !read_answer(connection.get(), end))
    return false;
  return send_all(connection.get(), kMilterQuit);
}

}  // namespace forcetls
