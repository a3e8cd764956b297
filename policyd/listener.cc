#include "policyd/listener.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>
#include <system_error>

#include "shared/base/cannot_start.h"
#include "shared/base/unix_socket.h"

namespace forcetls {
namespace {

[[noreturn]] void give_up(const ListenAddress& address, const std::string& why) {
  throw CannotStart(EX_CONFIG, fmt::format("cannot listen on {}: {}", address.text(), why));
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
  if (is_unix) clear_socket_path(address.path);
  const auto endpoint = endpoint_of(address);
  Acceptor acceptor(io);
  acceptor.open(endpoint.protocol());
  if (!is_unix) acceptor.set_option(Acceptor::reuse_address(true));
  asio::error_code error;
  {
    const SocketModeScope mode;
    acceptor.bind(endpoint, error);
  }
  if (error) give_up(address, error.message());
  if (is_unix) give_socket_to_group(address.path, socket_group);
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
    throw CannotStart(EX_CONFIG, "an inherited descriptor is not a listening socket");
  Acceptor acceptor(io);
  acceptor.assign(asio::generic::stream_protocol(name.ss_family, 0), descriptor);
  return acceptor;
}

}  // namespace forcetls
