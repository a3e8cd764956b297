// Asking trivial-rewrite, played by a thread that answers well, badly or without end.
#include "shared/mta/rewrite_client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include "shared/base/unique_fd.h"
#include "shared/mta/attribute_protocol.h"
#include "tests/unit/catch.h"

using namespace forcetls;
using namespace std::chrono_literals;

namespace {

/// A queue directory with private/rewrite in it, where `answer` talks to the first client.
class Rewrite {
 public:
  explicit Rewrite(std::function<void(int client)> answer)
      : directory_(std::filesystem::temp_directory_path() / "forcetls-XXXXXX"),
        listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    REQUIRE(::mkdtemp(directory_.data()) != nullptr);
    REQUIRE(std::filesystem::create_directory(directory_ + "/private"));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = directory_ + "/private/rewrite";
    REQUIRE(path.size() < sizeof address.sun_path);
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
    REQUIRE(::listen(listener_.get(), 1) == 0);
    thread_ = std::thread([this, answer = std::move(answer)] {
      const UniqueFd client(::accept(listener_.get(), nullptr, nullptr));
      if (client) answer(client.get());
    });
  }
  ~Rewrite() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    std::filesystem::remove_all(directory_);
  }
  Rewrite(const Rewrite&) = delete;
  Rewrite& operator=(const Rewrite&) = delete;

  Result<ResolvedRoute> ask(std::chrono::milliseconds deadline) const {
    return ask_trivial_rewrite(directory_, "", "postmaster@bank.example", deadline);
  }

 private:
  std::string directory_;
  UniqueFd listener_;
  std::thread thread_;
};

bool tell(int client, const std::string& bytes) {
  return ::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

/// Until the client hangs up.
void wait_for_end(int client) {
  std::array<char, 512> bytes{};
  while (::read(client, bytes.data(), bytes.size()) > 0) {
  }
}

std::string route_bytes(const char* flags) {
  return to_attribute_bytes(
      {{"flags", "0"}, {"transport", "smtp"}, {"nexthop", "bank.example"}, {"flags", flags}});
}

const std::string kGreeting = to_attribute_bytes({{"protocol", "trivial-rewrite"}});

}  // namespace

TEST_CASE("rewrite client: the route is what comes after the greeting", "[postfix]") {
  const Rewrite rewrite([](int client) {
    tell(client, kGreeting + route_bytes("4096"));
    wait_for_end(client);
  });
  const auto route = rewrite.ask(60s);
  REQUIRE(route);
  CHECK(route->transport == "smtp");
  CHECK(route->next_hop == "bank.example");
}

TEST_CASE("rewrite client: an address that cannot be resolved", "[postfix]") {
  const Rewrite rewrite([](int client) {
    tell(client, route_bytes("8"));
    wait_for_end(client);
  });
  CHECK(rewrite.ask(60s).error().code == ErrorCode::Malformed);
}

TEST_CASE("rewrite client: one that ends without an answer", "[postfix]") {
  const Rewrite rewrite([](int client) { tell(client, kGreeting); });
  CHECK(rewrite.ask(60s).error().code == ErrorCode::System);
}

TEST_CASE("rewrite client: one that never answers", "[postfix]") {
  const Rewrite rewrite(wait_for_end);
  CHECK(rewrite.ask(20ms).error().code == ErrorCode::Busy);
}

TEST_CASE("rewrite client: an answer without end has a deadline as a whole", "[postfix]") {
  const Rewrite rewrite([](int client) {
    while (tell(client, "x")) std::this_thread::sleep_for(1ms);
  });
  CHECK(rewrite.ask(50ms).error().code == ErrorCode::Busy);
}

TEST_CASE("rewrite client: Postfix that does not run", "[postfix]") {
  CHECK(ask_trivial_rewrite("/nowhere", "", "a@b.example", 1s).error().code == ErrorCode::System);
  std::string empty = std::filesystem::temp_directory_path() / "forcetls-XXXXXX";
  REQUIRE(::mkdtemp(empty.data()) != nullptr);
  std::filesystem::create_directory(empty + "/private");
  CHECK(ask_trivial_rewrite(empty, "", "a@b.example", 1s).error().code == ErrorCode::NotFound);
  std::filesystem::remove_all(empty);
}
