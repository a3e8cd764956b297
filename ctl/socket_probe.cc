#include "ctl/socket_probe.h"

#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

#include "shared/base/unique_fd.h"

namespace forcetls {
namespace {

constexpr time_t kDeadlineSeconds = 5;

/// 0, or the errno of the failure.
int connect_within_deadline(const sockaddr* address, socklen_t size) {
  const UniqueFd connection(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection) return errno;
  const timeval deadline{kDeadlineSeconds, 0};
  ::setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
  return ::connect(connection.get(), address, size) == 0 ? 0 : errno;
}

int connect_unix(std::string_view path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  path.copy(address.sun_path, path.size());
  return connect_within_deadline(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

int connect_inet(std::string_view host_and_port) {
  const auto colon = host_and_port.rfind(':');
  if (colon == host_and_port.npos) return EINVAL;
  std::string host(host_and_port.substr(0, colon));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port(host_and_port.substr(colon + 1));
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return ENXIO;
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
  int failure = ENXIO;
  for (const addrinfo* one = found; one != nullptr && failure != 0; one = one->ai_next)
    failure = connect_within_deadline(one->ai_addr, one->ai_addrlen);
  return failure;
}

/// In the child: becomes what the service is. Errors are left to connect(2) to find.
void become_service(const SocketProbe& probe) {
  const passwd* user = ::getpwnam(probe.user.c_str());
  if (::chdir(probe.queue_directory.c_str()) != 0 || ::geteuid() != 0 || user == nullptr) return;
  const uid_t uid = user->pw_uid;
  const gid_t gid = user->pw_gid;
  if (probe.chrooted && ::chroot(".") != 0) return;
  if (::setgroups(1, &gid) != 0 || ::setgid(gid) != 0) return;
  [[maybe_unused]] const int result = ::setuid(uid);
}

}  // namespace

std::string why_unreachable(const SocketProbe& probe) {
  const std::string_view address = probe.address;
  // Names are looked up out here: the chroot's resolver is not what is asked about.
  if (address.starts_with("inet:")) {
    const int failure = connect_inet(address.substr(5));
    return failure == 0 ? "" : std::strerror(failure);
  }
  if (!address.starts_with("unix:")) return "not an address of a socket";
  const pid_t child = ::fork();
  if (child == 0) {
    become_service(probe);
    ::_exit(connect_unix(address.substr(5)));
  }
  int status = 0;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (child < 0 || !WIFEXITED(status)) return "the question could not be asked";
  return WEXITSTATUS(status) == 0 ? "" : std::strerror(WEXITSTATUS(status));
}

}  // namespace forcetls
