#include "ctl/socketmap_client.h"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>

#include "shared/base/listen_address.h"
#include "shared/base/unique_fd.h"

namespace forcetls {
namespace {

constexpr time_t kDeadlineSeconds = 5;
/// As Postfix takes it (postfix: socketmap_table(5)).
constexpr std::size_t kMostReplyBytes = 100000;
/// More digits than any length that we take.
constexpr std::size_t kMostLengthBytes = 10;
using Deadline = std::chrono::steady_clock::time_point;

tl::unexpected<Error> system_failure() {
  const bool late = errno == EAGAIN || errno == EINPROGRESS;
  return fail(ErrorCode::Unavailable, late ? "no answer" : std::strerror(errno));
}

/// Not open, and errno, if that fails.
UniqueFd connect_within_deadline(const sockaddr* address, socklen_t size) {
  UniqueFd connection(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection) return connection;
  const timeval deadline{kDeadlineSeconds, 0};
  ::setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
  ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
  if (::connect(connection.get(), address, size) == 0) return connection;
  const int reason = errno;
  connection = UniqueFd();
  errno = reason;
  return connection;
}

UniqueFd connect_to(const ListenAddress& where) {
  if (where.kind == ListenAddress::Kind::Unix) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    where.path.copy(address.sun_path, sizeof address.sun_path - 1);
    return connect_within_deadline(reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  errno = ENXIO;
  if (::getaddrinfo(where.host.c_str(), std::to_string(where.port).c_str(), &hints, &found) != 0)
    return UniqueFd();
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
  UniqueFd connection;
  for (const addrinfo* one = found; one != nullptr && !connection; one = one->ai_next)
    connection = connect_within_deadline(one->ai_addr, one->ai_addrlen);
  return connection;
}

Result<void> send_all(int connection, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return system_failure();
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

/// True if something can be read before the deadline; else false, and errno.
bool wait_for_bytes(int connection, Deadline deadline) {
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd ready{connection, POLLIN, 0};
    const int count = ::poll(&ready, 1, static_cast<int>(std::max<long>(0, left.count())));
    if (count > 0) return true;
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) errno = EAGAIN;
    return false;
  }
}

/// Appends what has come. An error when nothing more will, or the deadline is over.
Result<void> read_more(int connection, Deadline deadline, std::string& buffer) {
  std::array<char, 4096> chunk{};
  ssize_t count = -1;
  do {
    if (!wait_for_bytes(connection, deadline)) return system_failure();
    count = ::recv(connection, chunk.data(), chunk.size(), 0);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return system_failure();
  if (count == 0) return fail(ErrorCode::Unavailable, "it closed the connection");
  buffer.append(chunk.data(), static_cast<std::size_t>(count));
  return {};
}

/// One netstring, "2:OK,". Nothing may follow it: there is one question at a time.
Result<std::string> read_reply(int connection, Deadline deadline) {
  std::string buffer;
  while (true) {
    if (const auto colon = buffer.find(':'); colon != buffer.npos) {
      std::size_t size = 0;
      const auto end = std::from_chars(buffer.data(), buffer.data() + colon, size);
      if (end.ec != std::errc() || end.ptr != buffer.data() + colon || size > kMostReplyBytes)
        break;
      if (buffer.size() == colon + 2 + size && buffer.back() == ',')
        return buffer.substr(colon + 1, size);
      if (buffer.size() >= colon + 2 + size) break;
    } else if (buffer.size() >= kMostLengthBytes) {
      break;
    }
    if (const auto more = read_more(connection, deadline, buffer); !more) return fail(more.error());
  }
  return fail(ErrorCode::Unavailable, "what answers is no socketmap");
}

}  // namespace

Result<std::map<std::string, std::string>> look_up(const std::string& address,
                                                   const std::string& map,
                                                   const std::vector<std::string>& keys,
                                                   std::chrono::milliseconds patience) {
  const auto where = ListenAddress::parse(address);
  if (!where) return fail(where.error());
  const UniqueFd connection = connect_to(*where);
  if (!connection) return system_failure();
  std::map<std::string, std::string> answers;
  for (const std::string& key : keys) {
    const std::string request = fmt::format("{} {}", map, key);
    const auto sent = send_all(connection.get(), fmt::format("{}:{},", request.size(), request));
    if (!sent) return fail(sent.error());
    auto reply = read_reply(connection.get(), std::chrono::steady_clock::now() + patience);
    if (!reply) return fail(std::move(reply).error());
    answers.insert_or_assign(key, *std::move(reply));
  }
  return answers;
}

}  // namespace forcetls
