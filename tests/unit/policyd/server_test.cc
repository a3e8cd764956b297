// The server on a real socket, in a thread, with a policy that changes beside it.
#include "policyd/server.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <thread>

#include "shared/base/unique_fd.h"
#include "tests/unit/catch.h"
#include "tests/unit/fakes/clock.h"
#include "tests/unit/fakes/log_sink.h"
#include "tests/unit/fakes/rule_store.h"
#include "tests/unit/policy_file.h"

using namespace forcetls;

namespace {

constexpr timeval kPatience{10, 0};

/// A client that blocks, but not for ever.
class Client {
 public:
  explicit Client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  void send(const std::string& bytes) const {
    REQUIRE(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
  }
  void finish_sending() const { ::shutdown(fd_.get(), SHUT_WR); }
  /// `count` bytes, or fewer if the server closes first.
  std::string receive(std::size_t count) const {
    std::string bytes(count, '\0');
    std::size_t got = 0;
    while (got < count) {
      const auto more = ::recv(fd_.get(), bytes.data() + got, count - got, 0);
      if (more <= 0) break;
      got += static_cast<std::size_t>(more);
    }
    bytes.resize(got);
    return bytes;
  }
  std::string ask(const std::string& request, const std::string& like) const {
    send(request);
    return receive(like.size());
  }
  bool closed_by_server() const {
    char byte = 0;
    const auto got = ::recv(fd_.get(), &byte, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);  // closed with unread bytes: a reset
  }

 private:
  UniqueFd fd_;
};

/// A daemon with a map socket and a policy socket, up to the end of the test.
struct Daemon {
  explicit Daemon(std::size_t most_connections = 100)
      : source((file.init(), file.path()), Log(sink, LogLevel::Info)),
        server(io, source, clock, Log(sink, LogLevel::Info), most_connections) {
    server.listen(Service::Map, open_listener(io, ListenAddress::unix_socket(map), ""));
    server.listen(Service::Policy, open_listener(io, ListenAddress::unix_socket(policy), ""));
    thread = std::thread([this] { server.run(); });
  }
  ~Daemon() { end(); }
  void end() {
    if (!thread.joinable()) return;
    ::kill(::getpid(), SIGTERM);
    thread.join();
  }

  PolicyFile file;
  FakeLogSink sink;
  FakeClock clock{at(0)};
  std::string map = file.path("map.sock");
  std::string policy = file.path("policy.sock");
  asio::io_context io{1};
  PolicySource source;
  Server server;
  std::thread thread;
};

const std::string kNotFound = "9:NOTFOUND ,";
const std::string kMay = "6:OK may,";
const std::string kRequest = "15:tls may.example,";
const std::string kDunno = "action=DUNNO\n\n";

}  // namespace

TEST_CASE("server: a row that comes while clients are connected counts for their next request",
          "[policyd][threads]") {
  Daemon daemon;
  const Client client(daemon.map);
  CHECK(client.ask(kRequest, kNotFound) == kNotFound);
  const auto before = daemon.source.generation();
  REQUIRE(
      daemon.file.sql("INSERT INTO domain_policy(domain, outbound) VALUES ('may.example', 'may')"));
  REQUIRE(eventually([&] { return daemon.source.generation() > before; }));
  CHECK(client.ask(kRequest, kMay) == kMay);
}

TEST_CASE("server: requests in one packet, and one in many packets, are all answered",
          "[policyd][threads]") {
  Daemon daemon;
  const Client client(daemon.map);
  std::string many, want;
  for (int i = 0; i < 500; ++i) many += kRequest, want += kNotFound;
  CHECK(client.ask(many, want) == want);
  for (const char c : kRequest) client.send(std::string(1, c));
  CHECK(client.receive(kNotFound.size()) == kNotFound);
  const Client other(daemon.policy);
  CHECK(other.ask("request=smtpd_access_policy\n\nrequest=smtpd_access_policy\n\n",
                  kDunno + kDunno) == kDunno + kDunno);
}

TEST_CASE("server: a client that breaks the protocol loses its own connection only",
          "[policyd][threads]") {
  Daemon daemon;
  const Client good(daemon.map);
  const Client bad(daemon.map);
  bad.send("GET / HTTP/1.0\r\n\r\n");
  CHECK(bad.closed_by_server());
  const Client endless(daemon.policy);
  endless.send(std::string(70'000, 'x'));
  CHECK(endless.closed_by_server());
  CHECK(good.ask(kRequest, kNotFound) == kNotFound);
  CHECK(daemon.sink.count("closing a connection") == 2);
}

TEST_CASE("server: what was asked before a mistake is still answered", "[policyd][threads]") {
  Daemon daemon;
  const Client client(daemon.map);
  client.send(kRequest + "rubbish");
  CHECK(client.receive(1000) == kNotFound);
}

TEST_CASE("server: a client that has finished sending gets its replies", "[policyd][threads]") {
  Daemon daemon;
  const Client client(daemon.map);
  client.send(kRequest);
  client.finish_sending();
  CHECK(client.receive(1000) == kNotFound);
}

TEST_CASE("server: beyond the limit the client that was idle longest gives way",
          "[policyd][threads]") {
  Daemon daemon(3);
  const Client first(daemon.map), second(daemon.map), third(daemon.map);
  for (const Client* client : {&first, &second, &third})
    CHECK(client->ask(kRequest, kNotFound) == kNotFound);
  CHECK(first.ask(kRequest, kNotFound) == kNotFound);
  const Client fourth(daemon.map);
  CHECK(fourth.ask(kRequest, kNotFound) == kNotFound);
  CHECK(second.closed_by_server());
  CHECK(first.ask(kRequest, kNotFound) == kNotFound);
  CHECK(third.ask(kRequest, kNotFound) == kNotFound);
}

TEST_CASE("server: a socket that has lost its file is told of, and clients that are there go on",
          "[policyd][threads]") {
  Daemon daemon;
  const Client client(daemon.map);
  REQUIRE(::unlink(daemon.map.c_str()) == 0);
  REQUIRE(eventually([&] { return daemon.sink.has(daemon.map + " is gone"); }));
  CHECK(client.ask(kRequest, kNotFound) == kNotFound);
  CHECK_FALSE(daemon.sink.has(daemon.policy + " is gone"));
}

TEST_CASE("server: at the end what was asked is answered, and idle clients are let go",
          "[policyd][threads]") {
  Daemon daemon;
  const Client idle(daemon.map);
  const Client asking(daemon.map);
  CHECK(asking.ask(kRequest, kNotFound) == kNotFound);
  asking.send(kRequest);
  daemon.end();
  CHECK(asking.receive(1000) == kNotFound);
  CHECK(idle.closed_by_server());
}
