#include "milter/listener.h"

#include "tests/unit/catch.h"

namespace forcetls {

TEST_CASE("libmilter_address: port before host, IPv6 told apart", "[milter][listener]") {
  struct Row {
    std::string ours;
    std::string theirs;
  };
  const Row rows[] = {{"unix:/run/forcetls/milter.sock", "unix:/run/forcetls/milter.sock"},
                      {"inet:127.0.0.1:8462", "inet:8462@[127.0.0.1]"},
                      {"inet:localhost:8462", "inet:8462@[127.0.0.1]"},
                      {"inet:[::1]:8462", "inet6:8462@[::1]"}};
  for (const Row& row : rows) {
    CAPTURE(row.ours);
    const auto address = ListenAddress::parse(row.ours);
    REQUIRE(address);
    CHECK(libmilter_address(*address) == row.theirs);
  }
}

}  // namespace forcetls
