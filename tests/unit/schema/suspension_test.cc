// Suspensions: refused ones, and what becomes of them.
#include "tests/unit/catch.h"
#include "tests/unit/schema/policy_database.h"

using namespace forcetls;

namespace {

struct Bad {
  std::string what;
  std::string sql;
  std::string want;
};

std::string insert(const std::string& columns, const std::string& values) {
  return "INSERT INTO suspension(" + columns + ") VALUES (" + values + ")";
}

constexpr const char* kUsual = "domain, level, ends_at, reason";
constexpr const char* kTimes = "domain, level, reason, starts_at, ends_at";

std::string ending(const std::string& ends_at) {
  return insert(kUsual, "'bank.example', 'may', " + ends_at + ", 'T-1'");
}

std::string lasting(const std::string& starts_at, const std::string& ends_at) {
  return insert(kTimes, "'bank.example', 'may', 'T-1', " + starts_at + ", " + ends_at);
}

void fill(PolicyDatabase& policy) {
  policy.must("INSERT INTO domain_policy(domain, outbound) VALUES ('bank.example', 'secure')");
  policy.must(insert(kUsual, "'bank.example', 'encrypt', datetime('now', '+2 hours'), 'T-0'"));
}

}  // namespace

TEST_CASE("suspension: a bad one is refused with what to write instead", "[schema]") {
  const auto row = GENERATE_REF(values<Bad>({
      {"no such row", insert(kUsual, "'x.example', 'may', datetime('now', '+1 hour'), 'T-1'"),
       "no row in domain_policy"},
      {"sub-domain of a row",
       insert(kUsual, "'a.bank.example', 'may', datetime('now', '+1 hour'), 'T-1'"),
       "no row in domain_policy"},
      {"no domain", insert("level, ends_at, reason", "'may', datetime('now', '+1 hour'), 'T-1'"),
       "no row in domain_policy"},
      {"no level",
       insert("domain, ends_at, reason", "'bank.example', datetime('now', '+1 hour'), 'T-1'"),
       "there is no default"},
      {"unknown level", insert(kUsual, "'bank.example', 'none', datetime('now', '+1 hour'), 'T-1'"),
       "level must be"},
      {"no end", insert("domain, level, reason", "'bank.example', 'may', 'T-1'"),
       "ends_at is missing"},
      {"no reason",
       insert("domain, level, ends_at", "'bank.example', 'may', datetime('now', '+1 hour')"),
       "reason is missing"},
      {"blank reason", insert(kUsual, "'bank.example', 'may', datetime('now', '+1 hour'), '  '"),
       "reason is missing"},
      {"reason of a line break",
       insert(kUsual, "'bank.example', 'may', datetime('now', '+1 hour'), char(10)"),
       "reason is missing"},
      {"reason in two lines",
       insert(kUsual, "'bank.example', 'may', datetime('now', '+1 hour'), 'a' || char(10) || 'b'"),
       "one line"},
      {"date only", ending("date('now', '+3 days')"), "write datetime('now', '+2 hours')"},
      {"ISO 8601", ending("strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '+1 hour')"),
       "ends_at must be UTC"},
      {"milliseconds", ending("strftime('%Y-%m-%d %H:%M:%f', 'now', '+1 hour')"),
       "ends_at must be UTC"},
      {"Unix time", ending("unixepoch('now', '+1 hour')"), "ends_at must be UTC"},
      {"words", ending("'+2 hours'"), "ends_at must be UTC"},
      {"no such day", ending("'2027-02-30 00:00:00'"), "ends_at must be UTC"},
      {"24 o'clock", ending("date('now', '+1 day') || ' 24:00:00'"), "ends_at must be UTC"},
      {"wrong modifier gives NULL", ending("datetime('now', '2 hour later')"),
       "ends_at is missing"},
      {"end now", ending("datetime('now')"), "later than starts_at"},
      {"end before start", lasting("datetime('now', '+2 hours')", "datetime('now', '+1 hour')"),
       "later than starts_at"},
      {"all in the past", lasting("datetime('now', '-2 hours')", "datetime('now', '-1 hour')"),
       "ends_at is in the past"},
      {"back-dated", lasting("datetime('now', '-10 minutes')", "datetime('now', '+1 hour')"),
       "starts_at is in the past"},
      {"start is no time", lasting("'now'", "datetime('now', '+1 hour')"), "starts_at must be"},
      {"start is NULL", lasting("NULL", "datetime('now', '+1 hour')"), "starts_at must be"},
      {"31 days", ending("datetime('now', '+31 days')"), "more than 30 days"},
      {"a second too long", ending("datetime('now', '+30 days', '+1 second')"),
       "more than 30 days"},
      {"over an existing one",
       insert("id, domain, level, ends_at, reason",
              "1, 'bank.example', 'may', datetime('now', '+1 hour'), 'T-1'"),
       "leave id out"},
      {"longer", "UPDATE suspension SET ends_at = datetime('now', '+3 hours')",
       "INSERT another suspension"},
      {"ended in the past", "UPDATE suspension SET ends_at = datetime('now', '-1 hour')",
       "in the past"},
      {"endless", "UPDATE suspension SET ends_at = NULL", "ends_at must be UTC"},
      {"ended at no time", "UPDATE suspension SET ends_at = 'now'", "ends_at must be UTC"},
      {"other level", "UPDATE suspension SET level = 'may'", "only ends_at may become earlier"},
      {"other reason", "UPDATE suspension SET reason = 'x'", "only ends_at may become earlier"},
      {"other id", "UPDATE suspension SET id = 9", "only ends_at may become earlier"},
      {"other domain", "UPDATE suspension SET domain = 'x.example'",
       "only ends_at may become earlier"},
      {"other start", "UPDATE suspension SET starts_at = datetime('now', '+1 hour')",
       "only ends_at may become earlier"},
      {"deleted", "DELETE FROM suspension", "never deleted"},
  }));
  PolicyDatabase policy;
  fill(policy);
  const std::string before = policy.content();
  for (const auto& variant : conflict_variants(row.sql)) {
    INFO(row.what << ": " << variant);
    CHECK_THAT(policy.sentence(variant), ContainsSubstring(row.want));
    CHECK(policy.content() == before);
  }
}

TEST_CASE("suspension: good ones", "[schema]") {
  PolicyDatabase policy;
  fill(policy);
  for (const auto& sql :
       {ending("datetime('now', '+1 second')"), ending("datetime('now', '+30 days')"),
        lasting("datetime('now', '-4 minutes')", "datetime('now', '+1 hour')"),
        lasting("datetime('now', '+100 days')", "datetime('now', '+130 days')"),
        ending("datetime('now', '+2 hours')"), ending("datetime('now', '+2 hours')"),
        insert("domain, level, ends_at, reason, approved_by",
               "'bank.example', 'encrypt', datetime('now', '+1 hour'), 'Stra\u00dfe', 'A. B.'")}) {
    INFO(sql);
    CHECK(policy.sentence(sql).empty());
  }
}

TEST_CASE("suspension: ends at once, and stays ended", "[schema]") {
  PolicyDatabase policy;
  fill(policy);
  CHECK(policy.value("SELECT count(*) FROM active_suspension") == "1");
  policy.must("UPDATE suspension SET ends_at = datetime('now')");
  CHECK(policy.value("SELECT count(*) FROM active_suspension") == "0");
  CHECK_THAT(policy.sentence("UPDATE suspension SET ends_at = datetime('now', '+1 hour')"),
             ContainsSubstring("has ended"));
}

TEST_CASE("suspension: one that has not begun is called off by ending it now", "[schema]") {
  PolicyDatabase policy;
  fill(policy);
  policy.must(lasting("datetime('now', '+1 day')", "datetime('now', '+2 days')"));
  policy.must("UPDATE suspension SET ends_at = datetime('now') WHERE id = 2");
  CHECK(policy.value("SELECT count(*) FROM suspension WHERE ends_at > datetime('now')") == "1");
}

TEST_CASE("suspension: ends with its row and does not come back with it", "[schema]") {
  const std::string gone =
      GENERATE("DELETE FROM domain_policy", "UPDATE domain_policy SET domain = 'new.example'");
  PolicyDatabase policy;
  fill(policy);
  policy.must(lasting("datetime('now', '+1 day')", "datetime('now', '+2 days')"));
  policy.must(gone);
  policy.must("INSERT INTO domain_policy(domain, outbound) VALUES ('bank.example', 'secure')");
  CHECK(policy.value("SELECT count(*) FROM suspension") == "2");
  CHECK(policy.value("SELECT count(*) FROM suspension WHERE ends_at > datetime('now')") == "0");
  CHECK(policy.value("SELECT outbound FROM effective_policy WHERE domain = 'bank.example'") ==
        "secure");
}
