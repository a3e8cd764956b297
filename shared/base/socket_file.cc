#include "shared/base/socket_file.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "shared/base/unix_socket.h"

namespace forcetls {
namespace {

constexpr std::chrono::minutes kNextLine{1};

/// Empty: it has none. A name that begins with NUL is in no directory (unix(7)).
std::string path_of(int listener) {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  if (::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  if (address.sun_family != AF_UNIX || size <= offsetof(sockaddr_un, sun_path)) return {};
  return {address.sun_path, ::strnlen(address.sun_path, sizeof address.sun_path)};
}

bool is_missing(int reason) { return reason == ENOENT || reason == ENOTDIR; }

}  // namespace

SocketFile::SocketFile(int listener) : path_(path_of(listener)) {
  struct stat status {};
  if (path_.empty()) return;
  if (::lstat(path_.c_str(), &status) == 0) {
    // A copy, as in a restored directory. A socket that listens refuses nobody.
    if (connect_failure(path_) == ECONNREFUSED) return;
    device_ = status.st_dev;
    inode_ = status.st_ino;
  } else if (!is_missing(errno)) {
    path_.clear();
  }
}

bool SocketFile::is_lost() const {
  if (path_.empty()) return false;
  struct stat status {};
  if (::lstat(path_.c_str(), &status) != 0) return is_missing(errno);
  return status.st_dev != device_ || status.st_ino != inode_;
}

void SocketFile::tell_if_lost(const Log& log, std::chrono::steady_clock::time_point now) {
  if (!is_lost()) {
    next_line_ = {};
  } else if (now >= next_line_) {
    next_line_ = now + kNextLine;
    log.error(
        "{} is gone, or is another file now: nobody reaches us there. Restart the socket unit that "
        "has it (systemctl list-sockets), or, without one, this program",
        path_);
  }
}

}  // namespace forcetls
