// The path of a listening unix socket: cleared of a left-over, given to the MTA's group.
#pragma once

#include <sys/types.h>

#include <string>

namespace forcetls {

/// The MTA reaches our sockets by their group.
constexpr mode_t kSocketMode = 0660;

/// Why a connection to the unix socket at `path` fails, as errno; 0 if it does not. Never waits:
/// EAGAIN if somebody listens whose backlog is full.
int connect_failure(const std::string& path);

/// Removes a socket at `path` that nobody listens on. Throws CannotStart, EX_CONFIG, if somebody
/// does, if the path is something else, or if the socket cannot be removed.
void clear_socket_path(const std::string& path);

/// Gives the socket to `group` where that exists and is permitted; empty: left as it is.
void give_socket_to_group(const std::string& path, const std::string& group);

/// While it lives, new sockets get kSocketMode. The process must have one thread, or others that
/// make no files.
class SocketModeScope {
 public:
  SocketModeScope();
  ~SocketModeScope();
  SocketModeScope(const SocketModeScope&) = delete;
  SocketModeScope& operator=(const SocketModeScope&) = delete;

 private:
  mode_t before_;
};

}  // namespace forcetls
