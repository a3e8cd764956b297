// One event, one line; what a client says cannot begin another.
#include "shared/base/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "shared/base/clock.h"
#include "tests/unit/catch.h"
#include "tests/unit/fakes/clock.h"
#include "tests/unit/fakes/log_sink.h"

namespace forcetls {
namespace {

/// What `write` prints to stderr.
template <class Write>
std::string stderr_of(Write write) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const int saved = ::dup(STDERR_FILENO);
  ::dup2(ends[1], STDERR_FILENO);
  write();
  ::dup2(saved, STDERR_FILENO);
  ::close(saved);
  ::close(ends[1]);
  std::string text(4096, '\0');
  const auto length = ::read(ends[0], text.data(), text.size());
  ::close(ends[0]);
  REQUIRE(length >= 0);
  text.resize(static_cast<std::size_t>(length));
  return text;
}

}  // namespace

TEST_CASE("log level: four words", "[base][log]") {
  LogLevel level = LogLevel::Debug;
  CHECK(parse_log_level("error", level));
  CHECK(level == LogLevel::Error);
  CHECK(parse_log_level("warning", level));
  CHECK(level == LogLevel::Warning);
  CHECK(parse_log_level("info", level));
  CHECK(level == LogLevel::Info);
  CHECK(parse_log_level("debug", level));
  CHECK(level == LogLevel::Debug);
  for (const auto* word : {"", "Error", "warn", "notice", " info", "info ", "3"}) {
    INFO(word);
    CHECK_FALSE(parse_log_level(word, level));
    CHECK(level == LogLevel::Debug);
  }
}

TEST_CASE("log: only lines up to the wanted level are written", "[base][log]") {
  FakeLogSink sink;
  const Log log(sink, LogLevel::Warning);
  log.error("queue_id={} reason={}", "4FzQ", "route-transport");
  log.warning("w");
  log.info("i");
  log.debug("d");
  REQUIRE(sink.lines().size() == 2);
  CHECK(sink.lines()[0].level == LogLevel::Error);
  CHECK(sink.lines()[0].text == "queue_id=4FzQ reason=route-transport");
  CHECK(log.wants(LogLevel::Error));
  CHECK_FALSE(log.wants(LogLevel::Info));
}

TEST_CASE("stderr: one line, with the program and the level", "[base][log]") {
  ::unsetenv("JOURNAL_STREAM");
  const std::string text =
      stderr_of([] { StderrSink("forcetls-policyd").write(LogLevel::Warning, "a=b"); });
  CHECK(text == "forcetls-policyd[" + std::to_string(::getpid()) + "]: warning: a=b\n");
}

TEST_CASE("stderr: under systemd the level is a prefix that the journal takes", "[base][log]") {
  ::setenv("JOURNAL_STREAM", "8:1", 1);
  CHECK(stderr_of([] { StderrSink("x").write(LogLevel::Error, "a=b"); }) == "<3>a=b\n");
  CHECK(stderr_of([] { StderrSink("x").write(LogLevel::Debug, "a=b"); }) == "<7>a=b\n");
  ::unsetenv("JOURNAL_STREAM");
}

TEST_CASE("stderr: control characters do not begin a line of their own", "[base][log]") {
  ::setenv("JOURNAL_STREAM", "8:1", 1);
  const auto printed = [](std::string_view line) {
    return stderr_of([&] { StderrSink("x").write(LogLevel::Info, line); });
  };
  CHECK(printed("domain=a\n<0>forged") == "<6>domain=a?<0>forged\n");
  CHECK(printed("\r\t\x1b[31m\x7f") == "<6>???[31m?\n");
  CHECK(printed(std::string_view("a\0b", 3)) == "<6>a?b\n");
  CHECK(printed("b\u00E4nk") == "<6>b\u00E4nk\n");
  ::unsetenv("JOURNAL_STREAM");
}

TEST_CASE("clock: the system's does not go back", "[base][clock]") {
  SystemClock clock;
  const auto first = clock.now();
  CHECK(clock.now() >= first);
  using namespace std::chrono;
  CHECK(first <= time_point_cast<seconds>(system_clock::now()));
  CHECK(first + hours(1) > system_clock::now());
}

TEST_CASE("clock: a test's stands still until it is moved", "[base][clock]") {
  using namespace std::chrono_literals;
  FakeClock clock{std::chrono::sys_seconds{100s}};
  CHECK(clock.now().time_since_epoch() == 100s);
  clock.advance(5s);
  CHECK(clock.now().time_since_epoch() == 105s);
  clock.set(std::chrono::sys_seconds{1s});
  CHECK(clock.now().time_since_epoch() == 1s);
}

}  // namespace forcetls
