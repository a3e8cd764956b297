// The site's own tables behind ours, and rows that the programs do not see.
#include "tests/unit/shared/mta/doctor_rows.h"

using namespace forcetls;

namespace {

/// A site with a table of its own behind ours.
Bench with_table(std::vector<TableEntry> entries) {
  Bench bench;
  bench.bolt_on().set("smtp_tls_policy_maps",
                      "socketmap:unix:forcetls/map.sock:tls, hash:/own, "
                      "socketmap:unix:forcetls/map.sock:default");
  bench.facts.tables["hash:/own"] = std::move(entries);
  return bench;
}

}  // namespace

TEST_CASE("doctor: what answers before the site's own table", "[doctor]") {
  const struct {
    const char* what;
    TableEntry entry;
    std::vector<FakeRule> rows;
    bool holds_all;
    Told want;
  } rows[] = {
      {"nothing", {"a.p.example", "secure"}, {}, false, {}},
      {"a row as strong",
       {"a.example", "secure"},
       {{.key = "a.example", .outbound = Level::Secure}},
       false,
       {}},
      {"a weaker row",
       {"a.example", "secure match=x"},
       {{.key = "a.example"}},
       false,
       {"warning certain hidden-entry @ main.cf: smtp_tls_policy_maps: "
        "hash:/own: a.example"}},
      {"a weaker row of the parent",
       {"a.p.example", "secure"},
       {{.key = ".p.example"}},
       false,
       {"leak certain hidden-entry @ main.cf: smtp_tls_policy_maps: hash:/own: "
        "a.p.example"}},
      {"a weaker row of the parent, for sub-domains",
       {".a.p.example", "verify"},
       {{.key = ".p.example"}},
       false,
       {"leak certain hidden-entry @ main.cf: smtp_tls_policy_maps: hash:/own: "
        ".a.p.example"}},
      {"the default, for sub-domains",
       {".p.example", "secure"},
       {},
       true,
       {"leak certain hidden-entry @ main.cf: smtp_tls_policy_maps: hash:/own: "
        ".p.example"}},
      {"the default, which is asked last for a name", {"p.example", "secure"}, {}, true, {}},
      {"the default, as strong", {".p.example", "encrypt"}, {}, true, {}},
      {"a row in test",
       {"a.example", "secure"},
       {{.key = "a.example", .mode = Mode::Test}},
       false,
       {}},
      {"an entry that forces nothing", {"a.example", "may"}, {{.key = "a.example"}}, false, {}},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    Bench bench = with_table({row.entry});
    for (const FakeRule& rule : row.rows) bench.row(rule);
    if (row.holds_all) bench.policy.mutable_settings().default_outbound = DefaultOutbound::Encrypt;
    CHECK(bench.told() == row.want);
  }
}

TEST_CASE("doctor: the row that says what a hidden entry says", "[doctor]") {
  Bench bench = with_table({{"a.p.example", "secure"}});
  bench.row({.key = ".p.example"});
  CHECK(finding_of(bench, "hidden-entry").fix ==
        "sqlite3 /p.db \"INSERT INTO domain_policy(domain, outbound) VALUES "
        "('a.p.example', "
        "'secure')\"");
  bench.facts.tables["hash:/own"] = {{"a.p.example", "fingerprint match=aa:bb"}};
  CHECK_THAT(finding_of(bench, "hidden-entry").fix, StartsWith("write a row"));
}

TEST_CASE("doctor: no rows for sub-domains that would hide a stricter entry", "[doctor]") {
  Bench bench = with_table({{"a.p.example", "secure"}});
  bench.row({.key = "p.example"}).row({.key = "q.example"});
  const std::string fix = finding_of(bench, "sub-domain-rows").fix;
  CHECK_THAT(fix, ContainsSubstring("IN ('q.example')"));
}

TEST_CASE("doctor: a row in mode off is changed, not added once more", "[doctor]") {
  Bench bench;
  bench.bolt_on().bank().set("smtp_fallback_relay", "[fall.example]");
  bench.facts.domains_off = {"[fall.example]", ".bank.example", "a.example"};
  CHECK(finding_of(bench, "fallback-relay").fix ==
        "sqlite3 /p.db \"UPDATE domain_policy SET outbound = 'secure', mode = "
        "'enforce', "
        "min_protocol = 'TLSv1.2', ciphers = 'high' WHERE domain = "
        "'[fall.example]'\"");
  CHECK(finding_of(bench, "sub-domain-rows").id.empty());
  bench.set("smtp_tls_per_site", "hash:/s");
  bench.facts.tables["hash:/s"] = {{"a.example", "MUST"}, {"b.example", "MUST"}};
  CHECK_THAT(finding_of(bench, "per-site-ignored").fix,
             ContainsSubstring("VALUES ('b.example', 'verify')\""));
}

TEST_CASE("doctor: a service that empties what main.cf's list names", "[doctor]") {
  Bench bench;
  bench.bolt_on().bank().set("my_maps", "socketmap:unix:forcetls/map.sock:tls");
  bench.set("smtp_tls_policy_maps", "$my_maps").option("relay/unix", "my_maps", "");
  CHECK(finding_of(bench, "service-policy-map").fix ==
        "postconf -P "
        "relay/unix/smtp_tls_policy_maps=socketmap:unix:forcetls/map.sock:tls && "
        "postfix reload");
}
