#include "ctl/live_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
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
#include <string_view>

#include "shared/base/unique_fd.h"

namespace forcetls {
namespace {

constexpr time_t kDeadlineSeconds = 10;
constexpr unsigned kMostSeconds = 45;
constexpr std::size_t kMostReplyBytes = 4096;
constexpr std::string_view kProbeName = "forcetls-setup.invalid";

/// One of our sockets: what is sent to it, and how an answer looks.
struct Probe {
  const char* socket;    ///< below the queue directory
  const char* program;   ///< that listens on it
  const char* setting;   ///< of forcetls.conf
  std::string request;   ///< nothing: it is enough to connect
  std::string_view end;  ///< of an answer
};

std::array<Probe, 3> probes() {
  const std::string lookup = fmt::format("tls {}", kProbeName);
  return {{{"forcetls/map.sock", "forcetls-policyd", "listen_map",
            fmt::format("{}:{},", lookup.size(), lookup), ","},
           {"forcetls/policy.sock", "forcetls-policyd", "listen_policy",
            fmt::format("request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=SMTP\n"
                        "client_address=127.0.0.1\nsender=\nrecipient=postmaster@{}\n\n",
                        kProbeName),
            "\n\n"},
           {"forcetls/milter.sock", "forcetls-milter", "listen_milter", {}, {}}}};
}

/// Why a socket cannot be reached, and what to do.
std::string cannot_connect(const Probe& probe, int reason, const std::string& queue) {
  const std::string path = queue + "/" + probe.socket;
  if (reason == ECONNREFUSED)
    return fmt::format("nobody listens on {}: start {}", path, probe.program);
  if (reason == ENOENT)
    return fmt::format(
        "{} is not there: start {}; if it runs, it serves another Postfix instance: add "
        "'{} = unix:{}' to its configuration (each queue directory has sockets of its own)",
        path, probe.program, probe.setting, path);
  if (reason == EACCES)
    return fmt::format(
        "Postfix may not connect to {}: the socket needs group postfix and mode 0660, and its "
        "directory 2750 (chown forcetls:postfix, chmod 2750)",
        path);
  return fmt::format("{}: {}", path, std::strerror(reason));
}

/// Empty if the answer is one; else what is wrong with it.
std::string fault_of(const Probe& probe, std::string_view answer) {
  if (answer.starts_with("action=")) return {};
  const auto colon = answer.find(':');
  const std::string_view reply = answer.substr(colon == answer.npos ? 0 : colon + 1);
  if (reply.starts_with("OK ") || reply.starts_with("NOTFOUND ")) return {};
  return fmt::format("{} answers '{}': see its log", probe.program,
                     reply.substr(0, reply.find_last_not_of(",\n") + 1));
}

/// Runs in the child, in the chroot: relative paths are what Postfix uses.
std::string try_probe(const Probe& probe, const std::string& queue) {
  const UniqueFd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection) return std::strerror(errno);
  const timeval deadline{kDeadlineSeconds, 0};
  ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
  ::setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string_view(probe.socket).copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return cannot_connect(probe, errno, queue);
  if (probe.request.empty()) return {};
  ::send(connection.get(), probe.request.data(), probe.request.size(), MSG_NOSIGNAL);
  std::string answer;
  while (answer.size() < kMostReplyBytes) {
    std::array<char, 1024> chunk{};
    const ssize_t count = ::read(connection.get(), chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    answer.append(chunk.data(), static_cast<std::size_t>(count));
    if (answer.ends_with(probe.end)) return fault_of(probe, answer);
  }
  return fmt::format("{} does not answer on {}/{}: see its log", probe.program, queue,
                     probe.socket);
}

/// As Postfix's chroot_uid: what it is given it never gets rid of.
bool become(const passwd& user, const std::string& directory) {
  return ::setgid(user.pw_gid) == 0 && ::initgroups(user.pw_name, user.pw_gid) == 0 &&
         ::chroot(directory.c_str()) == 0 && ::chdir("/") == 0 && ::setuid(user.pw_uid) == 0;
}

std::string trouble_inside(const passwd& user, const std::string& queue) {
  if (!become(user, queue))
    return fmt::format("cannot become {} in {}: {}", user.pw_name, queue, std::strerror(errno));
  for (const Probe& probe : probes())
    if (std::string fault = try_probe(probe, queue); !fault.empty()) return fault;
  return {};
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

}  // namespace

Result<void> check_live(const std::string& queue_directory, const std::string& user) {
  const passwd* account = ::getpwnam(user.c_str());
  if (account == nullptr)
    return fail(ErrorCode::System, "mail_owner: there is no user '" + user + "'");
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(ErrorCode::System, std::strerror(errno));
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return fail(ErrorCode::System, std::strerror(errno));
  if (child == 0) {
    // It must not outlive us: it has our lock.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // Nor outlast a daemon that answers byte by byte. (Our signals may be held.)
    ::signal(SIGALRM, SIG_DFL);
    ::alarm(kMostSeconds);
    const std::string trouble = trouble_inside(*account, queue_directory);
    const bool told = ::write(writing.get(), trouble.data(), trouble.size()) ==
                      static_cast<ssize_t>(trouble.size());
    ::_exit(told ? 0 : 1);
  }
  writing = UniqueFd();
  const std::string trouble = read_all(reading.get());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!trouble.empty()) return fail(ErrorCode::Unavailable, trouble);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
    return fail(ErrorCode::Unavailable, "the daemons take too long to answer: see their logs");
  if (status != 0) return fail(ErrorCode::System, "the check of the sockets failed");
  return {};
}

}  // namespace forcetls
