#include "shared/base/unix_socket.h"

#include <fmt/format.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "shared/base/cannot_start.h"
#include "shared/base/unique_fd.h"

namespace forcetls {
namespace {

[[noreturn]] void give_up(const std::string& path, const std::string& why) {
  throw CannotStart(EX_CONFIG, fmt::format("cannot listen on unix:{}: {}", path, why));
}

bool somebody_listens_at(const std::string& path) {
  const int failure = connect_failure(path);
  return failure == 0 || failure == EAGAIN;
}

}  // namespace

int connect_failure(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (probe &&
      ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    return 0;
  return errno;
}

void clear_socket_path(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode)) give_up(path, "the path is taken by something else");
  if (somebody_listens_at(path)) give_up(path, "another process listens there");
  if (::unlink(path.c_str()) != 0)
    give_up(path, fmt::format("the old socket cannot be removed: {}", std::strerror(errno)));
}

void give_socket_to_group(const std::string& path, const std::string& group) {
  if (group.empty()) return;
  const struct group* entry = ::getgrnam(group.c_str());
  if (entry == nullptr) return;
  // Not permitted to a plain user outside that group; a setgid directory does it for him.
  [[maybe_unused]] const int result = ::lchown(path.c_str(), static_cast<uid_t>(-1), entry->gr_gid);
}

SocketModeScope::SocketModeScope() : before_(::umask(0777 & ~kSocketMode)) {}
SocketModeScope::~SocketModeScope() { ::umask(before_); }

}  // namespace forcetls
