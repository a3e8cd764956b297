// The one socket that libmilter serves: opened from an address, or inherited from systemd.
#pragma once

#include <string>

#include "shared/base/listen_address.h"

namespace forcetls {

/// An address in libmilter's spelling: unix:PATH, inet:PORT@[HOST], inet6:PORT@[HOST].
std::string libmilter_address(const ListenAddress& address);

/// Makes libmilter listen on `address`; after register_callbacks(). A unix socket is made with mode
/// 0660 and, where it can be given, the group `socket_group`; a left-over socket that nobody
/// listens on is replaced. Throws CannotStart, naming the address, if it is in use or cannot be
/// had.
void open_listener(const ListenAddress& address, const std::string& socket_group);

/// Makes libmilter listen on a socket that already does (systemd.socket(5)).
void adopt_listener(int descriptor);

}  // namespace forcetls
