// Every query fits the schema, and the loading ones give what their names say.
#include "shared/db/migrate.h"
#include "tests/unit/catch.h"
#include "tests/unit/schema/policy_database.h"

using namespace forcetls;

TEST_CASE("queries: every one prepares", "[schema]") {
  PolicyDatabase policy;
  for (const auto sql :
       {sql::kLoadDomainPolicy, sql::kLoadSuspension, sql::kLoadSetting, sql::kLoadSchemaIdentity,
        sql::kUpdateSetting, sql::kWriteChangeAuthor, sql::kDeleteChangeAuthor,
        sql::kLoadSettingsWrittenBy, sql::kLoadDomainsOff}) {
    INFO(sql);
    CHECK(Statement::prepare(policy.get(), sql).has_value());
  }
}

TEST_CASE("migrations: all of them make the schema that the programs ask for", "[schema]") {
  PolicyDatabase policy;
  CHECK(check_schema(policy.get()).has_value());
  CHECK(policy.value("PRAGMA application_id") == std::to_string(kPolicyApplicationId));
  CHECK(policy.value("PRAGMA user_version") == std::to_string(sql::kPolicyMigrations.size()));
  CHECK(policy.value("PRAGMA integrity_check") == "ok");
}

TEST_CASE("load_domain_policy: rows in mode test and enforce, by key", "[schema]") {
  PolicyDatabase policy;
  policy.must(
      "INSERT INTO domain_policy(domain, mode) VALUES ('b.example', 'test'), "
      "('a.example', 'enforce'), ('c.example', 'off')");
  CHECK(policy.rows(sql::kLoadDomainPolicy, 13) ==
        std::vector<std::string>{
            "a.example|enforce|encrypt|-|TLSv1.2|high|-|-|may|-|-|tempfail|-",
            "b.example|test|encrypt|-|TLSv1.2|high|-|-|may|-|-|tempfail|-",
        });
}

TEST_CASE("load_suspension: those that have not ended, in Unix seconds", "[schema]") {
  PolicyDatabase policy;
  policy.must("INSERT INTO domain_policy(domain) VALUES ('a.example')");
  const std::string insert =
      "INSERT INTO suspension(domain, level, starts_at, ends_at, reason) VALUES ('a.example', ";
  policy.must(insert + "'may', datetime('now'), datetime('now', '+1 hour'), 'now')");
  policy.must(insert +
              "'encrypt', datetime('now', '+1 day'), datetime('now', '+2 days'), 'later')");
  policy.must(insert + "'may', datetime('now', '+1 day'), datetime('now', '+2 days'), 'off')");
  policy.must(insert + "'may', datetime('now'), datetime('now', '+3 hours'), 'ended')");
  policy.must("UPDATE suspension SET ends_at = datetime('now') WHERE reason IN ('off', 'ended')");

  auto query = Statement::prepare(policy.get(), sql::kLoadSuspension).value();
  REQUIRE(query.bind_int64(":now", std::stoll(policy.value("SELECT unixepoch('now')"))));
  REQUIRE(query.step().value());
  CHECK(query.column_text(0) == "a.example");
  CHECK(query.column_text(1) == "may");
  CHECK(query.column_int64(3) - query.column_int64(2) == 3600);
  CHECK(query.column_text(4) == "now");
  REQUIRE(query.step().value());
  CHECK(query.column_text(1) == "encrypt");
  CHECK(query.column_text(4) == "later");
  CHECK_FALSE(query.step().value());
}
