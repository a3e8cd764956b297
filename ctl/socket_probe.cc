#include "ctl/socket_probe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>

#include "shared/base/milter_hello.h"
#include "shared/base/unique_fd.h"

namespace forcetls {
namespace {

/// For each step, and for the whole of a question.
constexpr time_t kProbeDeadlineSeconds = 10;
constexpr unsigned kMostSeconds = 15;
constexpr std::size_t kMostProbeReplyBytes = 4096;

/// 0, or the errno of the failure.
int connect_within_deadline(const UniqueFd& connection, const sockaddr* address, socklen_t size) {
  if (!connection) return errno;
  const timeval deadline{kProbeDeadlineSeconds, 0};
  ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
  ::setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
  return ::connect(connection.get(), address, size) == 0 ? 0 : errno;
}

bool is_whole(const SocketProbe& probe, const std::string& reply) {
  if (probe.size > 0) return reply.size() >= probe.size;
  return !probe.end.empty() && reply.ends_with(probe.end);
}

std::string converse(const UniqueFd& connection, const SocketProbe& probe) {
  ::send(connection.get(), probe.request.data(), probe.request.size(), MSG_NOSIGNAL);
  std::string reply;
  while (reply.size() < kMostProbeReplyBytes && !is_whole(probe, reply)) {
    std::array<char, 1024> chunk{};
    const ssize_t count = ::read(connection.get(), chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    reply.append(chunk.data(), static_cast<std::size_t>(count));
  }
  return reply;
}

SocketAnswer ask_unix(const SocketProbe& probe, std::string_view path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return {ENAMETOOLONG};
  path.copy(address.sun_path, path.size());
  const UniqueFd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int failure = connect_within_deadline(
      connection, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (failure != 0 || probe.request.empty()) return {failure};
  return {0, converse(connection, probe)};
}

SocketAnswer ask_inet(const SocketProbe& probe, std::string_view host_and_port) {
  const auto colon = host_and_port.rfind(':');
  if (colon == host_and_port.npos) return {EINVAL};
  std::string host(host_and_port.substr(0, colon));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port(host_and_port.substr(colon + 1));
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return {ENXIO};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
  int failure = ENXIO;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const UniqueFd connection(::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    failure = connect_within_deadline(connection, one->ai_addr, one->ai_addrlen);
    if (failure != 0) continue;
    if (probe.request.empty()) return {};
    return {0, converse(connection, probe)};
  }
  return {failure};
}

/// In the child, as Postfix's chroot_uid: what it is given it never gets rid of.
bool become_service(const SocketProbe& probe, const passwd* user) {
  if (::chdir(probe.queue_directory.c_str()) != 0) return false;
  if (user == nullptr) return true;
  return ::setgid(user->pw_gid) == 0 && ::initgroups(user->pw_name, user->pw_gid) == 0 &&
         (!probe.chrooted || ::chroot(".") == 0) && ::setuid(user->pw_uid) == 0;
}

/// What the child tells: whether the question could be asked, and the errno; then the reply.
struct Head {
  bool asked = false;
  int failure = 0;
};

void answer_in_child(const SocketProbe& probe, const passwd* user, const UniqueFd& to) {
  // It must not outlive us, nor outlast a daemon that answers byte by byte.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::signal(SIGALRM, SIG_DFL);
  ::alarm(kMostSeconds);
  Head head{become_service(probe, user), errno};
  SocketAnswer answer;
  if (head.asked) {
    answer = ask_unix(probe, std::string_view(probe.address).substr(5));
    head.failure = answer.failure;
  }
  std::string told(sizeof head, '\0');
  std::memcpy(told.data(), &head, sizeof head);
  told += answer.reply;
  const bool all = ::write(to.get(), told.data(), told.size()) == static_cast<ssize_t>(told.size());
  ::_exit(all ? 0 : 1);
}

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 1024> chunk{};
  for (;;) {
    const ssize_t count = ::read(descriptor, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(count));
  }
}

Result<SocketAnswer> ask_in_child(const SocketProbe& probe, const passwd* user) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(ErrorCode::System, std::strerror(errno));
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return fail(ErrorCode::System, std::strerror(errno));
  if (child == 0) answer_in_child(probe, user, writing);
  writing = UniqueFd();
  const std::string told = read_all(reading.get());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) return SocketAnswer{ETIMEDOUT};
  Head head;
  if (status != 0 || told.size() < sizeof head)
    return fail(ErrorCode::System, "the question could not be asked");
  std::memcpy(&head, told.data(), sizeof head);
  if (!head.asked)
    return fail(ErrorCode::System, fmt::format("cannot become {} in {}: {}", probe.user,
                                               probe.queue_directory, std::strerror(head.failure)));
  return SocketAnswer{head.failure, told.substr(sizeof head)};
}

}  // namespace

Result<SocketAnswer> ask_socket(const SocketProbe& probe) {
  const std::string_view address = probe.address;
  // Names are looked up out here: the chroot's resolver is not what is asked about.
  if (address.starts_with("inet:")) return ask_inet(probe, address.substr(5));
  if (!address.starts_with("unix:"))
    return fail(ErrorCode::Malformed, "not an address of a socket");
  if (::geteuid() != 0) return ask_in_child(probe, nullptr);
  const passwd* user = ::getpwnam(probe.user.c_str());
  if (user == nullptr)
    return fail(ErrorCode::System, "mail_owner: there is no user '" + probe.user + "'");
  return ask_in_child(probe, user);
}

std::string why_unreachable(const SocketProbe& probe) {
  const auto answer = ask_socket(probe);
  if (!answer) return answer.error().context;
  return answer->failure == 0 ? "" : std::strerror(answer->failure);
}

std::string why_no_milter(SocketProbe probe) {
  probe.request = std::string(kMilterOffer) + std::string(kMilterQuit);
  probe.size = kMilterAnswerSize;
  const auto answer = ask_socket(probe);
  if (!answer) return answer.error().context;
  if (answer->failure != 0) return std::strerror(answer->failure);
  return is_milter_answer(answer->reply) ? "" : "it connects, but no milter answers";
}

}  // namespace forcetls
