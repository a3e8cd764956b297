#include "policyd/listener.h"

#include <fmt/format.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>
#include <stdexcept>
#include <system_error>

namespace forcetls {
namespace {

constexpr mode_t kSocketMode = 0660;

[[noreturn]] void give_up(const ListenAddress& address, const std::string& why) {
  throw std::runtime_error(fmt::format("cannot listen on {}: {}", address.text(), why));
}

bool somebody_listens(asio::io_context& io, const std::string& path) {
  asio::local::stream_protocol::socket probe(io);
  asio::error_code error;
  probe.connect(asio::local::stream_protocol::endpoint(path), error);
  return !error;
}

/// Removes a socket that an earlier process left. Anything else at the path is not ours.
void clear_path(asio::io_context& io, const ListenAddress& address) {
  struct stat status {};
  if (::lstat(address.path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode)) give_up(address, "the path is taken by something else");
  if (somebody_listens(io, address.path)) give_up(address, "another process listens there");
  ::unlink(address.path.c_str());
}

void give_to_group(const std::string& path, const std::string& group) {
  if (group.empty()) return;
  const struct group* entry = ::getgrnam(group.c_str());
  if (entry == nullptr) return;
  // Not permitted to a plain user outside that group; a setgid directory does it for him.
  [[maybe_unused]] const int result = ::chown(path.c_str(), static_cast<uid_t>(-1), entry->gr_gid);
}

asio::generic::stream_protocol::endpoint endpoint_of(const ListenAddress& address) {
  if (address.kind == ListenAddress::Kind::Unix)
    return asio::local::stream_protocol::endpoint(address.path);
  const std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
  return asio::ip::tcp::endpoint(asio::ip::make_address(host), address.port);
}

}  // namespace

Acceptor open_listener(asio::io_context& io, const ListenAddress& address,
                       const std::string& socket_group) try {
  const bool is_unix = address.kind == ListenAddress::Kind::Unix;
  if (is_unix) clear_path(io, address);
  const auto endpoint = endpoint_of(address);
  Acceptor acceptor(io);
  acceptor.open(endpoint.protocol());
  if (!is_unix) acceptor.set_option(Acceptor::reuse_address(true));
  const mode_t before = ::umask(0777 & ~kSocketMode);
  asio::error_code error;
  acceptor.bind(endpoint, error);
  ::umask(before);
  if (error) give_up(address, error.message());
  if (is_unix) give_to_group(address.path, socket_group);
  acceptor.listen(SOMAXCONN);
  return acceptor;
} catch (const std::system_error& error) {
  give_up(address, error.code().message());
}

Acceptor adopt_listener(asio::io_context& io, int descriptor) {
  int listening = 0;
  socklen_t size = sizeof listening;
  sockaddr_storage name{};
  socklen_t name_size = sizeof name;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || !listening ||
      ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&name), &name_size) != 0)
    throw std::runtime_error("an inherited descriptor is not a listening socket");
  Acceptor acceptor(io);
  acceptor.assign(asio::generic::stream_protocol(name.ss_family, 0), descriptor);
  return acceptor;
}

}  // namespace forcetls
