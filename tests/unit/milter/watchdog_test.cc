#include "milter/watchdog.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>

#include "shared/base/systemd.h"
#include "shared/base/unique_fd.h"
#include "tests/unit/catch.h"
#include "tests/unit/fakes/log_sink.h"
#include "tests/unit/policy_file.h"

namespace forcetls {
namespace {

constexpr const char* kIntervalUs = "200000";
constexpr timeval kLong{10, 0};

UniqueFd bound(int type, const std::string& path) {
  UniqueFd opened(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(opened.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  return opened;
}

/// What a service manager gives a service that it watches, and hears from it.
class ServiceManager {
 public:
  explicit ServiceManager(const std::string& path) : socket_(bound(SOCK_DGRAM, path)) {
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &kLong, sizeof kLong);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    ::setenv("WATCHDOG_USEC", kIntervalUs, 1);
    ::unsetenv("WATCHDOG_PID");
  }
  ~ServiceManager() {
    ::unsetenv("NOTIFY_SOCKET");
    ::unsetenv("WATCHDOG_USEC");
  }
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  std::string hear() const {
    char text[64];
    const ssize_t size = ::recv(socket_.get(), text, sizeof text, 0);
    return size < 0 ? "nothing" : std::string(text, static_cast<std::size_t>(size));
  }

 private:
  UniqueFd socket_;
};

}  // namespace

TEST_CASE("Watchdog: a socket of systemd's that lost its file is no reason for a restart",
          "[milter][watchdog][threads]") {
  const PolicyFile file;
  const ServiceManager manager(file.path("notify.sock"));
  const std::string path = file.path("milter.sock");
  const UniqueFd listener = bound(SOCK_STREAM, path);
  REQUIRE(::listen(listener.get(), 1) == 0);
  const Listening listening{SelfProbe::of_listener(listener.get()), SocketFile(listener.get())};
  REQUIRE(::unlink(path.c_str()) == 0);
  FakeLogSink sink;
  const Log log(sink, LogLevel::Info);
  const Watchdog watchdog(listening, log);
  CHECK(manager.hear() == "WATCHDOG=1");
  CHECK(sink.has(path + " is gone"));
}

TEST_CASE("Watchdog: a milter that does not answer gives no sign of life",
          "[milter][watchdog][threads]") {
  const PolicyFile file;
  const ServiceManager manager(file.path("notify.sock"));
  const UniqueFd listener = bound(SOCK_STREAM, file.path("milter.sock"));
  REQUIRE(::listen(listener.get(), 1) == 0);  // but nobody accepts
  FakeLogSink sink;
  const Log log(sink, LogLevel::Info);
  {
    const Watchdog watchdog({SelfProbe::of_listener(listener.get()), SocketFile(listener.get())},
                            log);
    REQUIRE(eventually([&] { return sink.count("no answer on our own socket") >= 2; }));
  }
  systemd::notify_stopping();  // the first thing that is heard
  CHECK(manager.hear() == "STOPPING=1");
}

}  // namespace forcetls
