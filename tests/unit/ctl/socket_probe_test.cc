// Asking a socket as a service of Postfix would: what comes back, and why nothing does.
#include "ctl/socket_probe.h"

#include <pwd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "shared/base/unique_fd.h"
#include "tests/unit/catch.h"

using namespace forcetls;

namespace {

/// A queue directory with the socket forcetls/x.sock, on which somebody listens.
class Queue {
 public:
  Queue() {
    REQUIRE(::mkdtemp(path_.data()) != nullptr);
    std::filesystem::permissions(path_, std::filesystem::perms(0755));
    std::filesystem::create_directory(path_ + "/forcetls");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (path_ + "/forcetls/x.sock").copy(address.sun_path, sizeof address.sun_path - 1);
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
    REQUIRE(::listen(listener_.get(), 5) == 0);
  }
  ~Queue() {
    std::filesystem::remove_all(path_);
    int status = 0;
    if (server_ > 0) ::waitpid(server_, &status, 0);
  }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Answers the first who asks.
  void serve(std::string_view reply) {
    server_ = ::fork();
    REQUIRE(server_ >= 0);
    if (server_ > 0) return;
    const UniqueFd client(::accept(listener_.get(), nullptr, nullptr));
    char byte = 0;
    const bool asked = ::read(client.get(), &byte, 1) == 1;
    const bool told = ::write(client.get(), reply.data(), reply.size()) >= 0;
    ::_exit(asked && told ? 0 : 1);
  }
  void stop_listening() { listener_ = UniqueFd(); }

  SocketProbe probe(const std::string& address = "unix:forcetls/x.sock") const {
    return {.queue_directory = path_,
            .user = ::getpwuid(::geteuid())->pw_name,
            .address = address,
            .chrooted = true};
  }

 private:
  std::string path_ = "/tmp/socket_probe_test.XXXXXX";
  UniqueFd listener_;
  pid_t server_ = 0;
};

}  // namespace

TEST_CASE("ask_socket: it is enough that somebody listens", "[ctl][probe]") {
  const Queue queue;
  const auto answer = ask_socket(queue.probe());
  REQUIRE(answer);
  CHECK(answer->failure == 0);
  CHECK(why_unreachable(queue.probe()).empty());
}

TEST_CASE("ask_socket: the reply up to its end, or as far as it came", "[ctl][probe]") {
  Queue queue;
  SocketProbe probe = queue.probe();
  probe.request = "question";
  probe.end = ",";
  SECTION("whole") {
    queue.serve("4:OK x,");
    CHECK(ask_socket(probe).value().reply == "4:OK x,");
  }
  SECTION("broken off") {
    queue.serve("4:OK");
    CHECK(ask_socket(probe).value().reply == "4:OK");
  }
}

TEST_CASE("ask_socket: a reply of a known size is awaited no longer", "[ctl][probe]") {
  Queue queue;
  SocketProbe probe = queue.probe();
  probe.request = "question";
  probe.size = 4;
  queue.serve("12345");
  CHECK_THAT(ask_socket(probe).value().reply, StartsWith("1234"));
}

TEST_CASE("why_no_milter: a milter answers the offer, and nobody else does", "[ctl][probe]") {
  Queue queue;
  SECTION("a milter") {
    queue.serve(std::string_view("\0\0\0\x0dO\0\0\0\x06\0\0\0\0\0\0\0\0", 17));
    CHECK(why_no_milter(queue.probe()).empty());
  }
  SECTION("something else") {
    queue.serve("220 smtp.example ESMTP\r\n");
    CHECK(why_no_milter(queue.probe()) == "it connects, but no milter answers");
  }
  SECTION("nobody") {
    queue.stop_listening();
    CHECK(why_no_milter(queue.probe()) == "Connection refused");
  }
}

TEST_CASE("ask_socket: why nobody answers", "[ctl][probe]") {
  Queue queue;
  CHECK(ask_socket(queue.probe("unix:forcetls/y.sock")).value().failure == ENOENT);
  CHECK(ask_socket(queue.probe("unix:" + std::string(200, 'x'))).value().failure == ENAMETOOLONG);
  CHECK(ask_socket(queue.probe("inet:127.0.0.1:1")).value().failure == ECONNREFUSED);
  CHECK(ask_socket(queue.probe("inet:127.0.0.1")).value().failure == EINVAL);
  CHECK_THAT(why_unreachable(queue.probe("local:x")), ContainsSubstring("not an address"));
  queue.stop_listening();
  CHECK(ask_socket(queue.probe()).value().failure == ECONNREFUSED);
}

TEST_CASE("ask_socket: what cannot be asked is an error", "[ctl][probe]") {
  const Queue queue;
  SocketProbe nowhere = queue.probe();
  nowhere.queue_directory = "/nonexistent";
  CHECK(ask_socket(nowhere).error().code == ErrorCode::System);
  if (::geteuid() != 0) return;
  SocketProbe nobody = queue.probe();
  nobody.user = "no-such-user";
  CHECK_THAT(ask_socket(nobody).error().context, ContainsSubstring("there is no user"));
}
