#include "shared/mta/rewrite_client.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "shared/base/unique_fd.h"
#include "shared/core/ascii.h"
#include "shared/mta/attribute_protocol.h"

namespace forcetls {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostReplyBytes = 65536;
/// Bits of trivial-rewrite's last `flags` (postfix: resolve_clnt.h).
constexpr int kResolveError = 1 << 2;
constexpr int kResolveFail = 1 << 3;

milliseconds left_until(Clock::time_point end) {
  return std::max(std::chrono::duration_cast<milliseconds>(end - Clock::now()), milliseconds(0));
}

/// A connection to a socket in a directory that may have a longer path than an address can hold.
Result<UniqueFd> connect_to(const std::string& directory, const std::string& name,
                            milliseconds deadline) {
  const UniqueFd folder(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return fail(ErrorCode::System, directory + ": " + std::strerror(errno));
  UniqueFd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection) return fail(ErrorCode::System, std::strerror(errno));
  const std::string path = "/proc/self/fd/" + std::to_string(folder.get()) + "/" + name;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  // Of connect() and of send(); what is read has an end of its own.
  const timeval patience{deadline.count() / 1000, deadline.count() % 1000 * 1000};
  ::setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail(errno == ENOENT || errno == ECONNREFUSED ? ErrorCode::NotFound : ErrorCode::System,
                directory + "/" + name + ": " + std::strerror(errno));
  return connection;
}

/// Appends what comes next to `buffer`.
Result<void> read_more(const UniqueFd& connection, std::string& buffer, Clock::time_point end) {
  pollfd waiting{connection.get(), POLLIN, 0};
  const milliseconds left = left_until(end);
  const int ready = left.count() == 0 ? 0 : ::poll(&waiting, 1, static_cast<int>(left.count()));
  if (ready < 0 && errno == EINTR) return {};
  if (ready <= 0) return fail(ErrorCode::Busy, "trivial-rewrite does not answer");
  std::array<char, 4096> chunk{};
  const ssize_t count = ::recv(connection.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return {};
  if (count <= 0 || buffer.size() > kMostReplyBytes)
    return fail(ErrorCode::System, "trivial-rewrite closed the connection");
  buffer.append(chunk.data(), static_cast<std::size_t>(count));
  return {};
}

/// One message of the service. `buffer` keeps what came after it.
Result<Attributes> read_message(const UniqueFd& connection, std::string& buffer,
                                Clock::time_point end) {
  while (true) {
    std::string_view bytes = buffer;
    auto message = take_attributes(bytes);
    if (message) {
      buffer.erase(0, buffer.size() - bytes.size());
      return message;
    }
    if (auto more = read_more(connection, buffer, end); !more) return fail(more.error());
  }
}

Result<ResolvedRoute> route_in(const Attributes& reply, std::string_view address) {
  const int flags = number_in(attribute(reply, "flags"));
  ResolvedRoute route{std::string(attribute(reply, "transport")),
                      std::string(attribute(reply, "nexthop"))};
  if ((flags & (kResolveError | kResolveFail)) != 0 || route.transport.empty())
    return fail(ErrorCode::Malformed, std::string(address) + ": Postfix cannot resolve it now");
  return route;
}

}  // namespace

Result<ResolvedRoute> ask_trivial_rewrite(const std::string& queue_directory,
                                          std::string_view sender, std::string_view address,
                                          milliseconds deadline) {
  const Clock::time_point end = Clock::now() + deadline;
  const auto connection = connect_to(queue_directory + "/private", "rewrite", deadline);
  if (!connection) return fail(connection.error());
  const std::string request = to_attribute_bytes(
      {{"request", "resolve"}, {"sender", std::string(sender)}, {"address", std::string(address)}});
  if (::send(connection->get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size()))
    return fail(ErrorCode::System, "trivial-rewrite does not read");
  std::string buffer;
  auto reply = read_message(*connection, buffer, end);
  // Postfix 3.6 and later name the protocol before anything else.
  if (reply && !attribute(*reply, "protocol").empty())
    reply = read_message(*connection, buffer, end);
  if (!reply) return fail(reply.error());
  return route_in(*reply, address);
}

}  // namespace forcetls
