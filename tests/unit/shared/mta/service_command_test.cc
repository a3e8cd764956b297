#include "shared/mta/service_command.h"

#include "tests/unit/catch.h"

using namespace forcetls;

TEST_CASE("with_options: new values in place, the rest untouched", "[mta]") {
  struct Row {
    const char* command;
    const char* name;
    const char* value;
    const char* want;
  };
  const Row rows[] = {
      {"smtpd", "a", "b", "smtpd -o a=b"},
      {"smtpd", "a", "", "smtpd -o a="},
      {"smtpd", "a", "b c", "smtpd -o { a = b c }"},
      {"smtpd", "a", "{b}", "smtpd -o { a = {b} }"},
      {"smtpd -o a=x -v", "a", "b c", "smtpd -o { a = b c } -v"},
      {"smtpd -o {a=x y} -o z=1", "a", "b", "smtpd -o a=b -o z=1"},
      {"smtpd -o { a = { x, y }, { z } } -o z=1", "a", "b", "smtpd -o a=b -o z=1"},
      {"smtpd  -o   ab=x", "a", "b", "smtpd -o ab=x -o a=b"},
      {"smtpd -o a=1 -o a=2", "a", "b", "smtpd -o a=b -o a=b"},
      {"smtpd -o {z = a=x}", "a", "b", "smtpd -o {z = a=x} -o a=b"},
      {"pipe argv=/x ${nexthop} a=b", "a", "b", "pipe argv=/x ${nexthop} a=b -o a=b"},
  };
  for (const Row& row : rows) {
    INFO(row.command);
    CHECK(with_options(row.command, {{row.name, row.value}}) == row.want);
  }
}
