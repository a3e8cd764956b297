#include "shared/base/subprocess.h"

#include <csignal>

#include "tests/unit/catch.h"

using namespace forcetls;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("run_command: gives status and both streams", "[base][subprocess]") {
  const auto ran = run_command({"sh", "-c", "echo out; echo err >&2; exit 3"});
  REQUIRE(ran);
  CHECK(ran->status == 3);
  CHECK(ran->out == "out\n");
  CHECK(ran->err == "err\n");
}

TEST_CASE("run_command: arguments arrive as they are, without a shell", "[base][subprocess]") {
  const auto ran = run_command({"printf", "%s|", "$HOME; `id`", "", "*", "a b"});
  REQUIRE(ran);
  CHECK(ran->out == "$HOME; `id`||*|a b|");
}

TEST_CASE("run_command: input and output larger than a pipe", "[base][subprocess]") {
  const std::string much(1'000'000, 'x');
  const auto ran = run_command({"cat"}, {.input = much});
  REQUIRE(ran);
  CHECK(ran->out == much);
}

TEST_CASE("run_command: input that nobody reads is no error", "[base][subprocess]") {
  const auto ran = run_command({"true"}, {.input = std::string(1'000'000, 'x')});
  REQUIRE(ran);
  CHECK(ran->status == 0);
}

TEST_CASE("run_command: runs in the directory asked for, in English", "[base][subprocess]") {
  const auto ran = run_command({"sh", "-c", "pwd; echo $LC_ALL"}, {.directory = "/usr"});
  REQUIRE(ran);
  CHECK(ran->out == "/usr\nC\n");
}

TEST_CASE("run_command: a signal is a status above 128", "[base][subprocess]") {
  const auto ran = run_command({"sh", "-c", "kill -TERM $$"});
  REQUIRE(ran);
  CHECK(ran->status == 128 + SIGTERM);
}

TEST_CASE("run_command: is done when it has what is wanted", "[base][subprocess]") {
  const auto ran = run_command({"sh", "-c", "echo one; echo two; sleep 600"},
                               {.deadline = seconds(60), .enough = "two\n"});
  REQUIRE(ran);
  CHECK(ran->status == 0);
  CHECK(ran->out == "one\ntwo\n");
  const auto ended = run_command({"sh", "-c", "echo one; exit 3"}, {.enough = "two\n"});
  REQUIRE(ended);
  CHECK(ended->status == 3);
}

TEST_CASE("run_command: failures", "[base][subprocess]") {
  const CommandOptions short_time{.deadline = milliseconds(100)};
  const struct {
    const char* what;
    std::vector<std::string> argv;
    CommandOptions options;
    ErrorCode want;
  } rows[] = {
      {"no such program", {"no-such-program-here"}, {}, ErrorCode::NotFound},
      {"no such path", {"/nowhere/program"}, {}, ErrorCode::NotFound},
      {"no such directory", {"true"}, {.directory = "/nowhere"}, ErrorCode::System},
      {"hangs", {"sleep", "1000"}, short_time, ErrorCode::Busy},
      {"hangs, its children too", {"sh", "-c", "sleep 1000 & wait"}, short_time, ErrorCode::Busy},
      {"closes its streams and hangs",
       {"sh", "-c", "exec >&- 2>&-; sleep 1000"},
       short_time,
       ErrorCode::Busy},
      {"prints without end", {"yes"}, {.deadline = seconds(60)}, ErrorCode::TooLong},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    const auto ran = run_command(row.argv, row.options);
    REQUIRE_FALSE(ran);
    CHECK(ran.error().code == row.want);
  }
}
