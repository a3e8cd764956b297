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
#include "shared/base/unique_fd.h"

namespace forcetls {
namespace {

using namespace std::string_view_literals;

/// Length, command, version 6, all actions, all steps; and the command that ends the connection.
constexpr std::string_view kOptionsOffered = "\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff"sv;
constexpr std::string_view kQuit = "\0\0\0\x01Q"sv;
constexpr std::size_t kAnswerSize = 17;  ///< as the offer: mfdef.h's MILTER_OPTLEN and the header
constexpr std::size_t kCommandAt = 4;

/// Whether all of an answer came, and it is one to the offer.
bool read_answer(int connection) {
  std::string answer(kAnswerSize, '\0');
  std::size_t have = 0;
  while (have < answer.size()) {
    const ssize_t count = ::recv(connection, answer.data() + have, answer.size() - have, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    have += static_cast<std::size_t>(count);
  }
  return answer[kCommandAt] == 'O';
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

bool SelfProbe::answers(std::chrono::seconds patience) const {
  const UniqueFd connection(::socket(address_.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection) return false;
  const timeval deadline{patience.count(), 0};
  ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
  ::setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
  const auto* address = reinterpret_cast<const sockaddr*>(&address_);
  if (::connect(connection.get(), address, size_) != 0) return false;
  if (!send_all(connection.get(), kOptionsOffered) || !read_answer(connection.get())) return false;
  return send_all(connection.get(), kQuit);
}

}  // namespace forcetls
