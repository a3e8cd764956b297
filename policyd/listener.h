// Listening sockets: opened from an address, or inherited from systemd.
#pragma once

#include <string>

#include "policyd/async.h"
#include "shared/base/listen_address.h"

namespace forcetls {

/// Listens on `address`. A unix socket is made with mode 0660 and, where it can be given, the
/// group `socket_group` (empty: left as it is); a left-over socket that nobody listens on is
/// replaced. Throws CannotStart naming the address if it is in use or cannot be had.
Acceptor open_listener(asio::io_context& io, const ListenAddress& address,
                       const std::string& socket_group);

/// Takes over a socket that already listens (systemd.socket(5)). Throws CannotStart if it
/// is no listening stream socket.
Acceptor adopt_listener(asio::io_context& io, int descriptor);

}  // namespace forcetls
