#include "shared/base/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>
#include <utility>

#include "shared/base/unique_fd.h"

extern char** environ;  // NOLINT(readability-identifier-naming): POSIX

namespace forcetls {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::array<std::string_view, 4> kProgramFolders{"/usr/sbin/", "/usr/bin/", "/sbin/",
                                                          "/bin/"};

tl::unexpected<Error> system_failure(std::string_view what) {
  return fail(ErrorCode::System, std::string(what) + ": " + std::strerror(errno));
}

/// For poll(2): 0 once it has passed.
int milliseconds_until(SteadyTime deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::max<std::chrono::milliseconds::rep>(left.count(), 0));
}

std::string path_of(const std::string& program) {
  if (program.find('/') != program.npos)
    return ::access(program.c_str(), X_OK) == 0 ? program : std::string();
  for (const std::string_view folder : kProgramFolders) {
    std::string path = std::string(folder) + program;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

struct Pipe {
  UniqueFd read_end, write_end;

  static Result<Pipe> make() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_failure("pipe");
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
};

/// What posix_spawn(3) is told besides the arguments.
class SpawnSettings {
 public:
  SpawnSettings() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
};

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> english_environment() {
  std::vector<std::string> variables{"LC_ALL=C"};
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable)
    if (!std::string_view(*variable).starts_with("LC_ALL=")) variables.emplace_back(*variable);
  return variables;
}

/// A running command. Its process group is killed unless it was waited for.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  Child& operator=(Child&&) = delete;
  ~Child() {
    if (pid_ == 0) return;
    ::kill(-pid_, SIGKILL);
    wait();
  }

  /// Its exit status. Errors: Busy, System.
  Result<int> wait_until(SteadyTime deadline) {
    // glibc 2.36 declares its own pidfd_open without C linkage.
    const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (!process) return system_failure("pidfd_open");
    pollfd waiting{process.get(), POLLIN, 0};
    while (true) {
      const int ready = ::poll(&waiting, 1, milliseconds_until(deadline));
      if (ready > 0) return wait();
      if (ready == 0) return fail(ErrorCode::Busy, "does not end");
      if (errno != EINTR) return system_failure("poll");
    }
  }

 private:
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  pid_t pid_;
};

struct Streams {
  Pipe in, out, err;
};

Result<Child> start(const std::vector<std::string>& argv, const std::string& directory,
                    const Streams& streams) {
  const std::string path = path_of(argv.at(0));
  if (path.empty()) return fail(ErrorCode::NotFound, argv[0] + ": no such program");
  SpawnSettings settings;
  ::posix_spawn_file_actions_adddup2(&settings.actions, streams.in.read_end.get(), 0);
  ::posix_spawn_file_actions_adddup2(&settings.actions, streams.out.write_end.get(), 1);
  ::posix_spawn_file_actions_adddup2(&settings.actions, streams.err.write_end.get(), 2);
  if (!directory.empty())
    ::posix_spawn_file_actions_addchdir_np(&settings.actions, directory.c_str());
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  ::posix_spawnattr_setsigdefault(&settings.attributes, &defaults);
  ::posix_spawnattr_setflags(&settings.attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  std::vector<std::string> arguments = argv;
  std::vector<std::string> environment = english_environment();
  pid_t pid = 0;
  errno = ::posix_spawn(&pid, path.c_str(), &settings.actions, &settings.attributes,
                        pointers_to(arguments).data(), pointers_to(environment).data());
  if (errno != 0) return system_failure(argv[0]);
  return Child(pid);
}

/// Our ends of the three pipes, served until the command has closed its own.
class Conversation {
 public:
  Conversation(Streams& streams, const CommandOptions& options)
      : input_(options.input),
        enough_(options.enough),
        in_(std::move(streams.in.write_end)),
        out_(std::move(streams.out.read_end)),
        err_(std::move(streams.err.read_end)) {
    for (const int descriptor : {in_.get(), out_.get(), err_.get()})
      ::fcntl(descriptor, F_SETFL, O_NONBLOCK);
    if (input_.empty()) in_ = UniqueFd();
  }

  /// True if more than that is not wanted.
  bool has_enough() const {
    return !enough_.empty() && output.out.find(enough_) != std::string::npos;
  }

  /// Errors: Busy, TooLong, System.
  Result<void> run_until(SteadyTime deadline) {
    while ((out_ || err_) && !has_enough()) {
      std::array<pollfd, 3> waiting{
          {{in_.get(), POLLOUT, 0}, {out_.get(), POLLIN, 0}, {err_.get(), POLLIN, 0}}};
      const int ready = ::poll(waiting.data(), 3, milliseconds_until(deadline));
      if (ready == 0) return fail(ErrorCode::Busy, "no answer in time");
      if (ready < 0 && errno != EINTR) return system_failure("poll");
      if (ready < 0) continue;
      if (waiting[0].revents != 0) write_some();
      if (waiting[1].revents != 0) read_some(out_, output.out);
      if (waiting[2].revents != 0) read_some(err_, output.err);
      if (std::max(output.out.size(), output.err.size()) > kMostCommandOutput)
        return fail(ErrorCode::TooLong, "prints too much");
    }
    return {};
  }

  CommandOutput output;

 private:
  void write_some() {
    const ssize_t written = ::write(in_.get(), input_.data(), input_.size());
    if (written > 0) input_.remove_prefix(static_cast<std::size_t>(written));
    // A command that does not want to read all of it may say so by closing.
    if (input_.empty() || (written < 0 && errno != EAGAIN && errno != EINTR)) in_ = UniqueFd();
  }

  static void read_some(UniqueFd& from, std::string& into) {
    std::array<char, 65536> bytes{};
    const ssize_t count = ::read(from.get(), bytes.data(), bytes.size());
    if (count > 0) into.append(bytes.data(), static_cast<std::size_t>(count));
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) from = UniqueFd();
  }

  std::string_view input_, enough_;
  UniqueFd in_, out_, err_;
};

/// While it lives, a pipe that nobody reads is an error of write(2), not the end of the program.
class IgnoredSigpipe {
 public:
  IgnoredSigpipe() : before_(std::signal(SIGPIPE, SIG_IGN)) {}
  ~IgnoredSigpipe() { std::signal(SIGPIPE, before_); }
  IgnoredSigpipe(const IgnoredSigpipe&) = delete;
  IgnoredSigpipe& operator=(const IgnoredSigpipe&) = delete;

 private:
  void (*before_)(int);
};

}  // namespace

Result<CommandOutput> run_command(const std::vector<std::string>& argv,
                                  const CommandOptions& options) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + options.deadline;
  const IgnoredSigpipe no_sigpipe;
  auto in = Pipe::make(), out = Pipe::make(), err = Pipe::make();
  if (!in || !out || !err) return system_failure("pipe");
  Streams streams{*std::move(in), *std::move(out), *std::move(err)};
  auto child = start(argv, options.directory, streams);
  if (!child) return fail(child.error());
  streams.in.read_end = UniqueFd();
  streams.out.write_end = UniqueFd();
  streams.err.write_end = UniqueFd();
  Conversation conversation(streams, options);
  if (const auto done = conversation.run_until(deadline); !done)
    return fail(within(argv[0], done.error()));
  if (conversation.has_enough()) return std::move(conversation.output);
  const auto status = child->wait_until(deadline);
  if (!status) return fail(within(argv[0], status.error()));
  conversation.output.status = *status;
  return std::move(conversation.output);
}

}  // namespace forcetls
