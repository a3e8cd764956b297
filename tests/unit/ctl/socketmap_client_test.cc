#include "ctl/socketmap_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <thread>

#include "shared/base/unique_fd.h"
#include "tests/unit/catch.h"

using namespace forcetls;

namespace {

/// Listens, and lets `talk` answer the one client.
class Server {
 public:
  explicit Server(std::function<void(int client)> talk)
      : path_(std::filesystem::temp_directory_path() /
              ("forcetls-map-" + std::to_string(::getpid()))) {
    std::filesystem::remove(path_);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.string().copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
    REQUIRE(::listen(listener_.get(), 1) == 0);
    thread_ = std::thread([this, talk = std::move(talk)] {
      const UniqueFd client(::accept(listener_.get(), nullptr, nullptr));
      talk(client.get());
    });
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() {
    thread_.join();
    std::filesystem::remove(path_);
  }

  std::string address() const { return "unix:" + path_.string(); }

 private:
  std::filesystem::path path_;
  UniqueFd listener_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::thread thread_;
};

bool say(int client, std::string_view bytes) {
  return ::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

void wait_until_closed(int client) {
  std::string heard(100, ' ');
  while (::recv(client, heard.data(), heard.size(), 0) > 0) continue;
}

}  // namespace

TEST_CASE("socketmap client: an answer is taken, also in pieces", "[ctl]") {
  const Server server([](int client) {
    for (const char* piece : {"7", ":OK ", "NONE", ","}) say(client, piece);
    wait_until_closed(client);
  });
  const auto answers = look_up(server.address(), "sendmail", {"bank.example"});
  REQUIRE(answers);
  CHECK(answers->at("bank.example") == "OK NONE");
}

TEST_CASE("socketmap client: a length without an end is no socketmap", "[ctl]") {
  const Server server([](int client) {
    say(client, "0000000001");
    wait_until_closed(client);
  });
  const auto answers = look_up(server.address(), "sendmail", {"bank.example"});
  REQUIRE_FALSE(answers);
  CHECK(answers.error().context == "what answers is no socketmap");
}

TEST_CASE("socketmap client: who says a byte now and then is not waited for", "[ctl]") {
  const Server server([](int client) {
    say(client, "90000:");
    pollfd closed{client, POLLRDHUP, 0};
    while (::poll(&closed, 1, 5) == 0 && say(client, "x")) continue;
  });
  const auto answers =
      look_up(server.address(), "sendmail", {"bank.example"}, std::chrono::milliseconds(100));
  REQUIRE_FALSE(answers);
  CHECK(answers.error().context == "no answer");
}
