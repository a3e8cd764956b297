#include "shared/base/socket_file.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <filesystem>

#include "shared/base/unique_fd.h"
#include "tests/unit/catch.h"
#include "tests/unit/fakes/log_sink.h"

namespace forcetls {
namespace {

using namespace std::chrono_literals;

/// A directory with a listening socket in it.
class SocketInDirectory {
 public:
  SocketInDirectory() { listener = listen_at(path()); }
  ~SocketInDirectory() { std::filesystem::remove_all(directory_); }
  SocketInDirectory(const SocketInDirectory&) = delete;
  SocketInDirectory& operator=(const SocketInDirectory&) = delete;

  std::string path() const { return directory_ + "/a.sock"; }
  const std::string& directory() const { return directory_; }
  static UniqueFd listen_at(const std::string& path) {
    UniqueFd opened(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(opened.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(opened.get(), 1) == 0);
    return opened;
  }

  UniqueFd listener;

 private:
  static std::string make_directory() {
    std::string name = "/tmp/forcetls-socket-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    return name;
  }
  std::string directory_ = make_directory();
};

}  // namespace

TEST_CASE("SocketFile: one that is there is not lost", "[base][socket_file]") {
  const SocketInDirectory socket;
  CHECK_FALSE(SocketFile(socket.listener.get()).is_lost());
}

TEST_CASE("SocketFile: lost when removed, alone or with its directory", "[base][socket_file]") {
  const SocketInDirectory socket;
  const SocketFile file(socket.listener.get());
  SECTION("alone") { ::unlink(socket.path().c_str()); }
  SECTION("with its directory") { std::filesystem::remove_all(socket.directory()); }
  SECTION("a file in the place of its directory") {
    std::filesystem::remove_all(socket.directory());
    std::fclose(std::fopen(socket.directory().c_str(), "w"));
  }
  CHECK(file.is_lost());
}

TEST_CASE("SocketFile: lost when another is in its place", "[base][socket_file]") {
  const SocketInDirectory socket;
  const SocketFile file(socket.listener.get());
  REQUIRE(std::rename(socket.path().c_str(), (socket.path() + ".old").c_str()) == 0);
  const UniqueFd other = SocketInDirectory::listen_at(socket.path());
  CHECK(file.is_lost());
  CHECK_FALSE(SocketFile(other.get()).is_lost());
}

TEST_CASE("SocketFile: lost from the start, and still when somebody else's comes",
          "[base][socket_file]") {
  const SocketInDirectory socket;
  ::unlink(socket.path().c_str());
  const SocketFile file(socket.listener.get());
  CHECK(file.is_lost());
  const UniqueFd other = SocketInDirectory::listen_at(socket.path());
  CHECK(file.is_lost());
}

TEST_CASE("SocketFile: lost from the start to a copy, behind which nobody listens",
          "[base][socket_file]") {
  const SocketInDirectory socket;
  ::unlink(socket.path().c_str());
  { const UniqueFd dead = SocketInDirectory::listen_at(socket.path()); }
  REQUIRE(std::filesystem::exists(socket.path()));
  CHECK(SocketFile(socket.listener.get()).is_lost());
}

TEST_CASE("SocketFile: what has no file cannot lose it", "[base][socket_file]") {
  const UniqueFd tcp(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK_FALSE(SocketFile(tcp.get()).is_lost());
  const UniqueFd unnamed(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK_FALSE(SocketFile(unnamed.get()).is_lost());
  sockaddr_un abstract{};
  abstract.sun_family = AF_UNIX;
  const std::string name = "forcetls-test-" + std::to_string(::getpid());
  name.copy(abstract.sun_path + 1, sizeof abstract.sun_path - 1);
  REQUIRE(::bind(unnamed.get(), reinterpret_cast<sockaddr*>(&abstract),
                 static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())) == 0);
  CHECK_FALSE(SocketFile(unnamed.get()).is_lost());
  CHECK_FALSE(SocketFile(-1).is_lost());
}

TEST_CASE("SocketFile: a loss is told at once, then once a minute", "[base][socket_file]") {
  const SocketInDirectory socket;
  SocketFile file(socket.listener.get());
  FakeLogSink sink;
  const Log log(sink, LogLevel::Info);
  const std::chrono::steady_clock::time_point start{10h};
  file.tell_if_lost(log, start);
  CHECK(sink.lines().empty());
  ::unlink(socket.path().c_str());
  for (const auto later : {0s, 1s, 59s}) file.tell_if_lost(log, start + later);
  CHECK(sink.count(socket.path() + " is gone") == 1);
  file.tell_if_lost(log, start + 60s);
  CHECK(sink.count("Restart the socket unit") == 2);
}

}  // namespace forcetls
