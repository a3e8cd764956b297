// forcetls.conf: a wrong line is told with file and line, never skipped.
#include "shared/base/config.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "tests/unit/catch.h"

namespace forcetls {
namespace {

using namespace std::string_view_literals;

/// A directory that goes away with the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() : path_(std::filesystem::temp_directory_path() / "forcetls-XXXXXX") {
    std::string name = path_.string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  std::string file(std::string_view content) const {
    const std::string name = path_ / "forcetls.conf";
    std::ofstream(name, std::ios::binary) << content;
    return name;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

Result<Config> read(std::string_view content) {
  const TemporaryDirectory directory;
  return read_config(directory.file(content));
}

}  // namespace

TEST_CASE("config: an empty file is the defaults", "[base][config]") {
  for (const auto content : {""sv, "\n\n"sv, "# nothing\n  # here\n"sv, " \t\r\n"sv}) {
    const auto config = read(content);
    REQUIRE(config);
    CHECK(config->policy_db == "/var/lib/forcetls/policy.db");
    CHECK(config->evidence_db == "/var/lib/forcetls/evidence/evidence.db");
    CHECK(config->listen_policy.empty());
    CHECK(config->socket_group == "postfix");
    CHECK(config->log_level == LogLevel::Info);
  }
}

TEST_CASE("config: every setting", "[base][config]") {
  const auto config = read(
      "# paths\n"
      "policy_db = /srv/policy.db\n"
      "evidence_db=srv/with blank #1/evidence.db\r\n"
      "  listen_policy =  unix:/run/p.sock   inet:127.0.0.1:8460\t\n"
      "listen_map = unix:/run/m.sock\n"
      "listen_map = inet:[::1]:8461\n"
      "listen_milter = inet:127.0.0.1:8462\n"
      "socket_group = mail\n"
      "max_connections = 1000000\n"
      "log_level = debug");  // no newline at the end
  REQUIRE(config);
  CHECK(config->policy_db == "/srv/policy.db");
  CHECK(config->evidence_db == "srv/with blank #1/evidence.db");
  REQUIRE(config->listen_policy.size() == 2);
  CHECK(config->listen_policy[1].text() == "inet:127.0.0.1:8460");
  REQUIRE(config->listen_map.size() == 2);
  CHECK(config->listen_map[1].text() == "inet:[::1]:8461");
  CHECK(config->listen_milter.size() == 1);
  CHECK(config->socket_group == "mail");
  CHECK(config->max_connections == 1'000'000);
  CHECK(config->log_level == LogLevel::Debug);
}

TEST_CASE("config: a wrong line is refused, with its number and what to write", "[base][config]") {
  struct {
    const char* what;
    std::string_view line;
    const char* told;
  } const rows[] = {
      {"no equals sign", "policy_db /srv/policy.db", "name = value"},
      {"a word alone", "nonsense", "name = value"},
      {"unknown name", "polcy_db = /srv/policy.db", "polcy_db"},
      {"name in capitals", "Policy_db = /srv/policy.db", "Policy_db"},
      {"no name", "= /srv/policy.db", "unknown setting ''"},
      {"no value", "policy_db =", "policy_db"},
      {"only blanks for a value", "evidence_db = \t ", "evidence_db"},
      {"relative path", "policy_db = policy.db", "begins with /"},
      {"quotes", "policy_db = \"/srv/policy.db\"", "without quotes"},
      {"comment behind a path", "policy_db = /srv/policy.db # ours", "line of its own"},
      {"comment behind a tab", "policy_db = /srv/policy.db\t# ours", "line of its own"},
      {"no group", "socket_group =", "socket_group"},
      {"address off the host", "listen_map = inet:0.0.0.0:25", "loopback"},
      {"second address wrong", "listen_map = unix:/run/m.sock map.sock", "map.sock"},
      {"relative socket", "listen_policy = unix:p.sock", "absolute"},
      {"comment behind a value", "listen_milter = unix:/run/m.sock # ours", "#"},
      {"no connections at all", "max_connections = 0", "1000000"},
      {"too many connections", "max_connections = 1000001", "1000000"},
      {"far too many connections", "max_connections = 99999999999999999999", "1000000"},
      {"negative connections", "max_connections = -1", "1000000"},
      {"no number", "max_connections = many", "1000000"},
      {"number and more", "max_connections = 10x", "1000000"},
      {"unknown log level", "log_level = verbose", "error, warning, info or debug"},
      {"log level in capitals", "log_level = INFO", "error, warning, info or debug"},
      {"binary", "\x7f\x45\x4c\x46", "name = value"},
      {"NUL byte", "log_level = info\0"sv, "error, warning, info or debug"},
  };
  for (const auto& [what, line, told] : rows) {
    INFO(what);
    const auto config = read("# first line\n" + std::string(line) + "\nlog_level = debug\n");
    REQUIRE_FALSE(config);
    CHECK(config.error().code == ErrorCode::Malformed);
    CHECK_THAT(config.error().context, ContainsSubstring("forcetls.conf:2: "));
    CHECK_THAT(config.error().context, ContainsSubstring(told));
  }
}

TEST_CASE("config: a file that is not there is told apart from a wrong one", "[base][config]") {
  const TemporaryDirectory directory;
  const auto config = read_config(directory.path() / "missing.conf");
  REQUIRE_FALSE(config);
  CHECK(config.error().code == ErrorCode::NotFound);
  CHECK_THAT(config.error().context, ContainsSubstring("missing.conf"));
}

TEST_CASE("config: a directory is no empty file", "[base][config]") {
  const TemporaryDirectory directory;
  CHECK_FALSE(read_config(directory.path()));
}

TEST_CASE("error: context is put before, from folder to folder", "[base][error]") {
  const Error error = within("policyd", within("policy.db", {ErrorCode::Busy, "locked"}));
  CHECK(error.code == ErrorCode::Busy);
  CHECK(error.context == "policyd: policy.db: locked");
}

}  // namespace forcetls
