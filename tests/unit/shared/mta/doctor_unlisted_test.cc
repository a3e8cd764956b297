// What leads to a partner past its row, and the commands that the doctor's notes give.
#include <algorithm>

#include "tests/unit/shared/mta/doctor_rows.h"

using namespace forcetls;

TEST_CASE("doctor: servers of partners by address are a note until they are held", "[doctor]") {
  Bench bench;
  bench.bolt_on();
  CHECK(finding_of(bench, "unlisted-relay").id.empty());
  bench.bank();
  const auto found = finding_of(bench, "unlisted-relay");
  CHECK(found.severity == doctor::Severity::Note);
  CHECK(found.fix ==
        "sqlite3 /p.db \"UPDATE setting SET value = 'encrypt' WHERE name = 'unlisted_relay'\"");
  bench.policy.mutable_settings().unlisted_relay = UnlistedRelay::Encrypt;
  CHECK(finding_of(bench, "unlisted-relay").id.empty());
}

TEST_CASE("doctor: rows that leave sub-domains out", "[doctor]") {
  const struct {
    const char* what;
    std::vector<FakeRule> rows;
    const char* want;  ///< domains of the command
  } rows[] = {
      {"none", {}, ""},
      {"a domain", {{.key = "b.example"}}, "'b.example'"},
      {"two, in order", {{.key = "b.example"}, {.key = "a.example"}}, "'a.example', 'b.example'"},
      {"one with its sub-domains", {{.key = "b.example"}, {.key = ".b.example"}}, ""},
      {"sub-domains that somebody let off",
       {{.key = "b.example"}, {.key = ".b.example", .outbound = Level::May}},
       ""},
      {"sub-domains in test, which is decided already",
       {{.key = "b.example"}, {.key = ".b.example", .mode = Mode::Test}},
       ""},
      {"held by a row further up", {{.key = "b.c.example"}, {.key = ".c.example"}}, ""},
      {"not held by it",
       {{.key = "b.c.example", .outbound = Level::Secure}, {.key = ".c.example"}},
       "'b.c.example'"},
      {"a next hop", {{.key = "[mx.example]"}, {.key = "mx.example:587"}}, ""},
      {"sub-domains alone", {{.key = ".b.example"}}, ""},
      {"not forced", {{.key = "b.example", .outbound = Level::May}}, ""},
      {"in test", {{.key = "b.example", .mode = Mode::Test}}, ""},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    Bench bench;
    bench.bolt_on();
    for (const FakeRule& rule : row.rows) bench.row(rule);
    const std::string fix = finding_of(bench, "sub-domain-rows").fix;
    const auto begin = fix.find(" IN (");
    CHECK((begin == fix.npos ? "" : fix.substr(begin + 5, fix.rfind(')') - begin - 5)) == row.want);
  }
}

TEST_CASE("doctor: one command for at most twenty domains", "[doctor]") {
  Bench bench;
  bench.bolt_on();
  for (int i = 0; i < 30; ++i) bench.row({.key = "d" + std::to_string(10 + i) + ".example"});
  const auto found = finding_of(bench, "sub-domain-rows");
  CHECK_THAT(found.what, ContainsSubstring("d10.example, d11.example, d12.example and 27 more"));
  CHECK_THAT(found.fix, ContainsSubstring("'d29.example')"));
  CHECK_THAT(found.fix,
             ContainsSubstring("sqlite3 /p.db \"INSERT INTO domain_policy(domain, mode, outbound"));
  bench.policy.mutable_settings().default_outbound = DefaultOutbound::Encrypt;
  CHECK(finding_of(bench, "sub-domain-rows").id.empty());
}
