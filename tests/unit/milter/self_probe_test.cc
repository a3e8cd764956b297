#include "milter/self_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <string>
#include <thread>

#include "shared/base/cannot_start.h"
#include "shared/base/unique_fd.h"
#include "tests/unit/catch.h"

namespace forcetls {
namespace {

constexpr std::chrono::seconds kPatience{1};
const std::string kNegotiation("\0\0\0\x0dO\0\0\0\x06\0\0\0\0\0\0\0\0", 17);

/// A socket on loopback that listens.
class Server {
 public:
  Server() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_.get(), 1) == 0);
  }
  int descriptor() const { return listener_.get(); }
  std::uint16_t port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    return ntohs(address.sin_port);
  }
  /// Accepts one connection, reads an offer, says `reply`, and waits for the end.
  std::thread reply_once(std::string reply) const {
    return std::thread([descriptor = listener_.get(), reply = std::move(reply)] {
      const UniqueFd connection(::accept(descriptor, nullptr, nullptr));
      char buffer[64];
      ::recv(connection.get(), buffer, kNegotiation.size(), MSG_WAITALL);
      ::send(connection.get(), reply.data(), reply.size(), MSG_NOSIGNAL);
      ::shutdown(connection.get(), SHUT_WR);
      while (::recv(connection.get(), buffer, sizeof buffer, 0) > 0) {
      }
    });
  }

 private:
  UniqueFd listener_;
};

bool asked(const std::string& reply) {
  const Server server;
  std::thread replying = server.reply_once(reply);
  const bool answers = SelfProbe::of_listener(server.descriptor()).answers(kPatience);
  replying.join();
  return answers;
}

}  // namespace

TEST_CASE("SelfProbe: a milter that negotiates answers", "[milter][self_probe][threads]") {
  CHECK(asked(kNegotiation));
}

TEST_CASE("SelfProbe: nothing else is an answer", "[milter][self_probe][threads]") {
  CHECK_FALSE(asked(""));
  CHECK_FALSE(asked(kNegotiation.substr(0, 16)));
  CHECK_FALSE(asked("220 smtp.example ESMTP\r\n"));
  CHECK_FALSE(asked(std::string("\0\0\0\x01t", 5) + std::string(12, '\0')));
}

TEST_CASE("SelfProbe: a listener that accepts nobody does not answer",
          "[milter][self_probe][threads]") {
  const Server server;
  CHECK_FALSE(SelfProbe::of_listener(server.descriptor()).answers(kPatience));
}

TEST_CASE("SelfProbe: an address that nobody listens on does not answer",
          "[milter][self_probe][threads]") {
  const std::string closed = "inet:127.0.0.1:" + std::to_string(Server().port());
  const std::string addresses[] = {closed, "inet:[::1]:1", "unix:/nowhere/milter.sock"};
  for (const std::string& address : addresses) {
    CAPTURE(address);
    CHECK_FALSE(SelfProbe::of_address(*ListenAddress::parse(address)).answers(kPatience));
  }
}

TEST_CASE("SelfProbe: the address is where libmilter was told to listen",
          "[milter][self_probe][threads]") {
  const Server server;
  std::thread replying = server.reply_once(kNegotiation);
  const auto address = ListenAddress::parse("inet:localhost:" + std::to_string(server.port()));
  REQUIRE(address);
  CHECK(SelfProbe::of_address(*address).answers(kPatience));
  replying.join();
}

TEST_CASE("SelfProbe: what is no socket is refused", "[milter][self_probe][threads]") {
  CHECK_THROWS_AS(SelfProbe::of_listener(-1), CannotStart);
}

}  // namespace forcetls
