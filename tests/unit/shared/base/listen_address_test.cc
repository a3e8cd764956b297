// Where a daemon listens. Our sockets answer to whoever can reach them: never off the host.
#include "shared/base/listen_address.h"

#include <string>
#include <string_view>

#include "tests/unit/catch.h"

namespace forcetls {

using namespace std::string_view_literals;

TEST_CASE("listen address: unix:PATH or inet:HOST:PORT", "[base][address]") {
  struct {
    std::string_view text, want;
  } const rows[] = {
      {"unix:/run/forcetls/map.sock", "unix:/run/forcetls/map.sock"},
      {"unix:/var/spool/postfix/forcetls/policy.sock",
       "unix:/var/spool/postfix/forcetls/policy.sock"},
      {"inet:127.0.0.1:8461", "inet:127.0.0.1:8461"},
      {"inet:127.8.9.10:1", "inet:127.8.9.10:1"},
      {"inet:localhost:65535", "inet:localhost:65535"},
      {"inet:[::1]:8461", "inet:[::1]:8461"},
  };
  for (const auto& [text, want] : rows) {
    INFO(text);
    const auto address = ListenAddress::parse(text);
    REQUIRE(address);
    CHECK(address->text() == want);
    CHECK(ListenAddress::parse(address->text())->text() == want);
  }
  const auto v6 = ListenAddress::parse("inet:[::1]:8461");
  CHECK(v6->host == "::1");
  CHECK(v6->port == 8461);
}

TEST_CASE("listen address: anything else is refused with what to write", "[base][address]") {
  const std::string long_path = "unix:/" + std::string(107, 'a');  // one more than sun_path holds
  for (const auto text : std::initializer_list<std::string_view>{"",
                                                                 ":",
                                                                 "unix",
                                                                 "unix:",
                                                                 "unix:run/map.sock",
                                                                 "unix:map.sock",
                                                                 "UNIX:/run/x",
                                                                 "unix:/run/x\0y"sv,
                                                                 "/run/map.sock",
                                                                 "tcp:127.0.0.1:25",
                                                                 "inet:",
                                                                 "inet:8461",
                                                                 "inet:127.0.0.1",
                                                                 "inet:127.0.0.1:",
                                                                 "inet::8461",
                                                                 "inet:127.0.0.1:0",
                                                                 "inet:127.0.0.1:65536",
                                                                 "inet:127.0.0.1:-1",
                                                                 "inet:127.0.0.1:+25",
                                                                 "inet:127.0.0.1: 25",
                                                                 "inet:127.0.0.1:25 ",
                                                                 "inet:127.0.0.1:smtp",
                                                                 "inet:127.0.0.1:0x19",
                                                                 "inet:0.0.0.0:8461",
                                                                 "inet:192.168.0.1:8461",
                                                                 "inet:[::]:8461",
                                                                 "inet:[fe80::1]:8461",
                                                                 "inet:*:8461",
                                                                 "inet:mail.example:8461",
                                                                 "inet:localhost.evil.example:8461",
                                                                 "inet:127.evil.example:8461",
                                                                 "inet:128.0.0.1:8461",
                                                                 "inet:8461@localhost",
                                                                 "inet:[::1:8461",
                                                                 "inet:::1]:8461",
                                                                 "inet:[]:8461",
                                                                 "inet:127.:8461",
                                                                 "inet:127.0.0.256:8461",
                                                                 "inet:127.0.0.1.1:8461",

                                                                 long_path}) {
    INFO(text);
    const auto address = ListenAddress::parse(text);
    CHECK_FALSE(address);
    if (address) continue;
    CHECK(address.error().code == ErrorCode::Malformed);
    CHECK_THAT(address.error().context, ContainsSubstring("write unix:/PATH or inet:"));
  }
}

TEST_CASE("listen address: a path as long as the system takes", "[base][address]") {
  CHECK(ListenAddress::parse("unix:/" + std::string(106, 'a')));
}

}  // namespace forcetls
