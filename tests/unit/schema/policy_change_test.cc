// The log of changes: complete, append-only.
#include "tests/unit/catch.h"
#include "tests/unit/schema/policy_database.h"

using namespace forcetls;

namespace {

constexpr const char* kLog = "SELECT table_name, key, old, new FROM policy_change ORDER BY seq";
constexpr const char* kDefaults =
    R"("min_protocol":"TLSv1.2","ciphers":"high","inbound":"may","on_failure":"tempfail"})";

std::string json(const std::string& beginning) { return "{" + beginning + "," + kDefaults; }

}  // namespace

TEST_CASE("policy_change: every change of a row is written with old and new", "[schema]") {
  PolicyDatabase policy;
  const std::string plain = json(R"("mode":"enforce","outbound":"encrypt")");
  const std::string secure = json(R"("mode":"enforce","outbound":"secure")");
  policy.must("INSERT INTO domain_policy(domain) VALUES ('bank.example')");
  policy.must("UPDATE domain_policy SET outbound = 'secure'");
  policy.must("UPDATE domain_policy SET domain = 'new.example'");
  policy.must("DELETE FROM domain_policy");
  policy.must("UPDATE setting SET value = 'encrypt' WHERE name = 'default_outbound'");
  CHECK(policy.rows(kLog, 4) ==
        std::vector<std::string>{
            "domain_policy|bank.example|-|" + plain,
            "domain_policy|bank.example|" + plain + "|" + secure,
            "domain_policy|bank.example|" + secure + "|-",
            "domain_policy|new.example|-|" + secure,
            "domain_policy|new.example|" + secure + "|-",
            R"(setting|default_outbound|{"value":"unset"}|{"value":"encrypt"})",
        });
  CHECK(policy.value("SELECT count(*) FROM policy_change WHERE at = datetime(at, '+0 days') AND "
                     "changed_by IS NULL") == "6");
}

TEST_CASE("policy_change: suspensions, also those that end with their row", "[schema]") {
  PolicyDatabase policy;
  policy.must("INSERT INTO domain_policy(domain) VALUES ('bank.example')");
  policy.must(
      "INSERT INTO suspension(domain, level, ends_at, reason, approved_by) VALUES "
      "('bank.example', 'may', datetime('now', '+1 hour'), 'it''s \"down\"', 'anna')");
  policy.must("DELETE FROM domain_policy");
  CHECK(policy.rows("SELECT key, old IS NULL, new ->> 'reason', new ->> 'approved_by' FROM "
                    "policy_change WHERE table_name = 'suspension'",
                    4) == std::vector<std::string>{"bank.example|1|it's \"down\"|anna",
                                                   "bank.example|0|it's \"down\"|anna"});
}

TEST_CASE("policy_change: whoever signs is named", "[schema]") {
  PolicyDatabase policy;
  policy.must("INSERT INTO domain_policy(domain) VALUES ('a.example'), ('by.hand')");
  policy.must("INSERT INTO change_author VALUES ('a program')");
  policy.must("INSERT INTO domain_policy(domain) VALUES ('b.example')");
  policy.must("UPDATE domain_policy SET outbound = 'secure' WHERE domain = 'a.example'");
  policy.must("UPDATE domain_policy SET domain = 'c.example' WHERE domain = 'b.example'");
  policy.must(
      "INSERT INTO suspension(domain, level, ends_at, reason) VALUES ('a.example', 'may', "
      "datetime('now', '+1 hour'), 'x')");
  policy.must("DELETE FROM domain_policy WHERE domain <> 'by.hand'");
  policy.must("UPDATE setting SET value = 'encrypt' WHERE name = 'default_outbound'");
  policy.must("DELETE FROM change_author");
  policy.must("UPDATE domain_policy SET outbound = 'verify'");
  CHECK(policy.rows("SELECT coalesce(changed_by, '-'), count(*) FROM policy_change GROUP BY 1 "
                    "ORDER BY 1",
                    2) == std::vector<std::string>{"-|3", "a program|9"});
}

TEST_CASE("policy_change: a signature is nothing to change the log with", "[schema]") {
  const auto sql = GENERATE(values<std::string>(
      {"UPDATE policy_change SET changed_by = 'a program' WHERE seq = 1",
       "UPDATE policy_change SET changed_by = NULL WHERE seq = 3",
       "UPDATE policy_change SET changed_by = 'b' WHERE seq = 3",
       "UPDATE policy_change SET changed_by = 'a program', new = '{}' WHERE seq = 2",
       "UPDATE policy_change SET changed_by = 'a program', seq = 9 WHERE seq = 2",
       "UPDATE policy_change SET changed_by = 'a program', at = '2020-01-01 00:00:00'"}));
  PolicyDatabase policy;
  policy.must("INSERT INTO domain_policy(domain) VALUES ('by.hand'), ('too.example')");
  policy.must("INSERT INTO change_author VALUES ('a program')");
  policy.must("INSERT INTO domain_policy(domain) VALUES ('signed.example')");
  const std::string before = policy.content();
  for (const auto& variant : conflict_variants(sql)) {
    INFO(variant);
    CHECK_THAT(policy.sentence(variant), ContainsSubstring("append-only"));
    CHECK(policy.content() == before);
  }
}

TEST_CASE("policy_change: append-only", "[schema]") {
  struct Row {
    const char* sql;
    const char* want;
  };
  const auto row = GENERATE(values<Row>({
      {"UPDATE policy_change SET old = 'x'", "append-only"},
      {"UPDATE policy_change SET changed_by = 'anna'", "append-only"},
      {"UPDATE policy_change SET seq = seq + 1", "append-only"},
      {"DELETE FROM policy_change", "append-only"},
      {"DELETE FROM policy_change WHERE seq = 1", "append-only"},
      {"INSERT INTO policy_change(seq, table_name, key) VALUES (1, 'setting', 'x')",
       "never overwritten"},
      {"INSERT INTO policy_change(seq, table_name, key) VALUES (99, 'setting', 'x')",
       "given by the database"},
      {"INSERT INTO policy_change(rowid, table_name, key) VALUES (1, 'setting', 'x')",
       "never overwritten"},
      {"INSERT INTO policy_change(at, table_name, key) VALUES ('2020-01-01 00:00:00', 'setting', "
       "'x')",
       "given by the database"},
  }));
  PolicyDatabase policy;
  policy.must("INSERT INTO domain_policy(domain) VALUES ('bank.example'), ('b.example')");
  const std::string before = policy.content();
  for (const auto& variant : conflict_variants(row.sql)) {
    INFO(variant);
    CHECK_THAT(policy.sentence(variant), ContainsSubstring(row.want));
    CHECK(policy.content() == before);
  }
}

TEST_CASE("recent_change: the last changes in words, newest first", "[schema]") {
  PolicyDatabase policy;
  policy.must("INSERT INTO domain_policy(domain, outbound) VALUES ('bank.example', 'secure')");
  policy.must("UPDATE domain_policy SET outbound = 'encrypt', note = 'a'");
  policy.must("UPDATE domain_policy SET note = NULL");
  policy.must("UPDATE domain_policy SET note = NULL");
  CHECK(policy.rows("SELECT key, change FROM recent_change", 2) ==
        std::vector<std::string>{
            "bank.example|no difference",
            "bank.example|note: a -> NULL",
            "bank.example|outbound: secure -> encrypt, note: NULL -> a",
            "bank.example|added " + json(R"("mode":"enforce","outbound":"secure")"),
        });
}
