#include "milter/listener.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <grp.h>
#include <libmilter/mfapi.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "shared/base/cannot_start.h"
#include "shared/base/unique_fd.h"

namespace forcetls {
namespace {

constexpr mode_t kSocketMode = 0660;
/// libmilter's own default is 5 at most; each SMTP session of a burst is one connection.
constexpr int kBacklog = 1024;
/// How long an idle MTA is waited for: a client may take its time between DATA and the dot, and
/// the MTA says nothing to us meanwhile. libmilter's own default.
constexpr std::chrono::seconds kIdleTimeout{7210};

[[noreturn]] void give_up(const std::string& address, const std::string& why) {
  throw CannotStart(EX_CONFIG, fmt::format("cannot listen on {}: {}", address, why));
}

bool connects(int family, const sockaddr* address, socklen_t size) {
  const UniqueFd probe(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return false;
  // EAGAIN: it listens, but its backlog is full. EINPROGRESS does not happen on loopback.
  return ::connect(probe.get(), address, size) == 0 || errno == EAGAIN;
}

bool somebody_listens_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return connects(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

/// Removes a socket that an earlier process left. Anything else at the path is not ours.
void clear_path(const ListenAddress& address) {
  struct stat status {};
  if (::lstat(address.path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode)) give_up(address.text(), "the path is taken by something else");
  if (somebody_listens_at(address.path))
    give_up(address.text(), "another forcetls-milter is running there");
  if (::unlink(address.path.c_str()) != 0)
    give_up(address.text(), fmt::format("cannot remove the old socket: {}", std::strerror(errno)));
}

void give_to_group(const std::string& path, const std::string& group) {
  if (group.empty()) return;
  const struct group* entry = ::getgrnam(group.c_str());
  if (entry == nullptr) return;
  // Not permitted to a plain user outside that group; a setgid directory does it for him.
  [[maybe_unused]] const int result = ::lchown(path.c_str(), static_cast<uid_t>(-1), entry->gr_gid);
}

/// libmilter says in the syslog what went wrong, and to us only that it did; errno is mostly right.
void hand_over(std::string address, const std::string& shown) {
  ::smfi_settimeout(static_cast<int>(kIdleTimeout.count()));
  ::smfi_setbacklog(kBacklog);
  if (::smfi_setconn(address.data()) != MI_SUCCESS)
    give_up(shown, "libmilter does not take the address");
  errno = 0;
  if (::smfi_opensocket(false) != MI_SUCCESS)
    give_up(shown, errno != 0 ? std::strerror(errno) : "see the syslog");
}

}  // namespace

std::string libmilter_address(const ListenAddress& address) {
  if (address.kind == ListenAddress::Kind::Unix) return "unix:" + address.path;
  const std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("{}:{}@[{}]", v6 ? "inet6" : "inet", address.port, host);
}

void open_listener(const ListenAddress& address, const std::string& socket_group) {
  const bool is_unix = address.kind == ListenAddress::Kind::Unix;
  if (is_unix) clear_path(address);
  const mode_t before = ::umask(0777 & ~kSocketMode);
  hand_over(libmilter_address(address), address.text());
  ::umask(before);
  if (is_unix) give_to_group(address.path, socket_group);
}

void adopt_listener(int descriptor) {
  const std::string address = fmt::format("fd:{}", descriptor);
  hand_over(address, address);
}

}  // namespace forcetls
