#include "milter/options.h"

#include <vector>

#include "shared/base/cannot_start.h"
#include "tests/unit/catch.h"

namespace forcetls {
namespace {

std::optional<Options> parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "forcetls-milter");
  return parse_options(static_cast<int>(arguments.size()), arguments.data());
}

int exit_status_of(const std::vector<const char*>& arguments) {
  try {
    parse(arguments);
  } catch (const CannotStart& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.exit_status();
  }
  return EX_OK;
}

}  // namespace

TEST_CASE("options: flags", "[milter][options]") {
  const auto options = parse({"--policy-db", "p.db", "--evidence-db", "e.db", "--listen",
                              "inet:127.0.0.1:8462", "--log-level", "debug", "--foreground"});
  REQUIRE(options);
  CHECK(options->foreground);
  CHECK(options->config.policy_db == "p.db");
  CHECK(options->config.evidence_db == "e.db");
  CHECK(options->config.log_level == LogLevel::Debug);
  REQUIRE(options->config.listen_milter.size() == 1);
  CHECK(options->config.listen_milter.front().text() == "inet:127.0.0.1:8462");
}

TEST_CASE("options: what is wrong is said in one line", "[milter][options]") {
  CHECK(exit_status_of({"--no-such-flag"}) == EX_USAGE);
  CHECK(exit_status_of({"extra"}) == EX_USAGE);
  CHECK(exit_status_of({"--listen"}) == EX_USAGE);
  CHECK(exit_status_of({"--listen", "nonsense"}) == EX_USAGE);
  CHECK(exit_status_of({"--listen", "inet:0.0.0.0:25"}) == EX_USAGE);
  CHECK(exit_status_of({"--listen", "unix:/a", "--listen", "unix:/b"}) == EX_USAGE);
  CHECK(exit_status_of({"--listen", "unix:/a unix:/b"}) != EX_OK);
  CHECK(exit_status_of({"--log-level", "loud"}) == EX_USAGE);
  CHECK(exit_status_of({"--config", "/no/such/file"}) == EX_CONFIG);
}

}  // namespace forcetls
