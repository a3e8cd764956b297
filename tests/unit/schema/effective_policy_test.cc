// The view effective_policy says what the programs do: the same table of levels and caps, once
// written out and once from the pure functions.
#include "shared/core/requirement.h"
#include "tests/unit/catch.h"
#include "tests/unit/schema/policy_database.h"

using namespace forcetls;

namespace {

/// All columns that a level can have, so that what a cap takes away shows.
std::string columns_for(std::string_view outbound) {
  if (outbound == "fingerprint") return ", match";
  if (outbound == "verify" || outbound == "secure") return ", match, tafile";
  return "";
}

std::string values_for(std::string_view outbound) {
  if (outbound == "fingerprint") return ", substr(replace(hex(zeroblob(32)), '0', '0F:'), 1, 95)";
  if (outbound == "verify" || outbound == "secure") return ", 'mx.example', '/etc/x.pem'";
  return "";
}

void insert(PolicyDatabase& policy, const std::string& outbound, const std::string& inbound) {
  policy.must("INSERT INTO domain_policy(domain, exclude, min_bits, outbound, inbound" +
              columns_for(outbound) + ", inbound_match) VALUES ('bank.example', '3DES', 128, '" +
              outbound + "', '" + inbound + "'" + values_for(outbound) +
              (inbound == "verify" ? ", 'mail.bank.example')" : ", NULL)"));
}

void suspend(PolicyDatabase& policy, const std::string& level,
             const std::string& starts_at = "datetime('now')") {
  policy.must(
      "INSERT INTO suspension(domain, level, starts_at, ends_at, reason) VALUES "
      "('bank.example', '" +
      level + "', " + starts_at + ", datetime('now', '+2 hours'), 'T-1')");
}

struct Row {
  const char* level;
  const char* capped_to_encrypt;
  const char* capped_to_may;
};

}  // namespace

TEST_CASE("effective_policy: outbound levels and caps", "[schema]") {
  const auto row = GENERATE(values<Row>({
      {"none", "none", "none"},
      {"may", "may", "may"},
      {"encrypt", "encrypt", "may"},
      {"dane", "encrypt", "may"},
      {"dane-only", "encrypt", "may"},
      {"fingerprint", "encrypt", "may"},
      {"verify", "encrypt", "may"},
      {"secure", "encrypt", "may"},
  }));
  const std::string cap = GENERATE("", "encrypt", "may");
  INFO(row.level << " suspended to '" << cap << "'");
  PolicyDatabase policy;
  insert(policy, row.level, "may");
  if (!cap.empty()) suspend(policy, cap);

  const std::string want = cap.empty()    ? row.level
                           : cap == "may" ? row.capped_to_may
                                          : row.capped_to_encrypt;
  const bool lowered = want != row.level;
  CHECK(policy.value("SELECT outbound FROM effective_policy") == want);
  const std::string kept =
      "SELECT v.match IS p.match AND v.tafile IS p.tafile FROM "
      "effective_policy AS v JOIN domain_policy AS p USING (domain)";
  const std::string gone = "SELECT match IS NULL AND tafile IS NULL FROM effective_policy";
  CHECK(policy.value(lowered ? gone : kept) == "1");
  CHECK(policy.value("SELECT min_protocol || ciphers || exclude || min_bits || on_failure FROM "
                     "effective_policy") == "TLSv1.2high3DES128tempfail");

  const auto level = level_from(row.level).value();
  const auto pure = capped(level, cap.empty() ? std::nullopt : level_from(cap));
  CHECK(to_text(pure) == want);
}

TEST_CASE("effective_policy: inbound levels and caps", "[schema]") {
  const auto row = GENERATE(values<Row>({
      {"may", "may", "may"},
      {"encrypt", "encrypt", "may"},
      {"verify", "encrypt", "may"},
  }));
  const std::string cap = GENERATE("", "encrypt", "may");
  INFO(row.level << " suspended to '" << cap << "'");
  PolicyDatabase policy;
  insert(policy, "may", row.level);
  if (!cap.empty()) suspend(policy, cap);

  const std::string want = cap.empty()    ? row.level
                           : cap == "may" ? row.capped_to_may
                                          : row.capped_to_encrypt;
  CHECK(policy.value("SELECT inbound FROM effective_policy") == want);
  CHECK(policy.value("SELECT inbound_match FROM effective_policy") ==
        (want == "verify" ? "mail.bank.example" : "-"));
  const auto level = inbound_level_from(row.level).value();
  CHECK(to_text(capped(level, cap.empty() ? std::nullopt : level_from(cap))) == want);
}

TEST_CASE("effective_policy: of overlapping suspensions the stricter counts", "[schema]") {
  PolicyDatabase policy;
  insert(policy, "secure", "may");
  const auto outbound = [&] { return policy.value("SELECT outbound FROM effective_policy"); };
  suspend(policy, "may");
  CHECK(outbound() == "may");
  suspend(policy, "encrypt");
  suspend(policy, "may");
  CHECK(outbound() == "encrypt");
  policy.must("UPDATE suspension SET ends_at = datetime('now') WHERE level = 'encrypt'");
  CHECK(outbound() == "may");
  policy.must("UPDATE suspension SET ends_at = datetime('now') WHERE level = 'may'");
  CHECK(outbound() == "secure");
  suspend(policy, "may", "datetime('now', '+1 hour')");
  CHECK(outbound() == "secure");
}

TEST_CASE("effective_policy: floors raise what is forced, as the pure function does", "[schema]") {
  const std::string outbound = GENERATE("none", "may", "dane", "encrypt", "dane-only", "secure");
  const std::string floor_protocol = GENERATE("", "TLSv1.1", "TLSv1.3");
  const std::string floor_ciphers = GENERATE("", "medium", "high");
  const auto [exclude, floor_exclude, united] =
      GENERATE(table<std::string, std::string, std::string>({
          {"", "", "-"},
          {"3DES", "", "3DES"},
          {"", "RC4:aNULL", "RC4:aNULL"},
          {"3DES:RC4", "aNULL:RC4:DES:3DES", "3DES:RC4:aNULL:DES"},
      }));
  INFO(outbound << " '" << floor_protocol << "' '" << floor_ciphers << "' '" << floor_exclude
                << "'");
  PolicyDatabase policy;
  policy.must(
      "INSERT INTO domain_policy(domain, outbound, ciphers, exclude) VALUES "
      "('bank.example', '" +
      outbound + "', 'medium', nullif('" + exclude + "', ''))");
  const auto set = [&](const std::string& name, const std::string& value) {
    policy.must("UPDATE setting SET value = '" + value + "' WHERE name = '" + name + "'");
  };
  set("floor_min_protocol", floor_protocol);
  set("floor_ciphers", floor_ciphers);
  set("floor_exclude", floor_exclude);
  Settings settings;
  REQUIRE(settings.set("floor_min_protocol", floor_protocol));
  REQUIRE(settings.set("floor_ciphers", floor_ciphers));
  REQUIRE(settings.set("floor_exclude", floor_exclude));

  const Rule rule{.outbound = {.level = level_from(outbound).value(),
                               .ciphers = CipherGrade::Medium,
                               .exclude = exclude}};
  const Requirement pure = outbound_requirement(rule, std::nullopt, settings.floor);
  CHECK(policy.value("SELECT min_protocol FROM effective_policy") == to_text(pure.min_protocol));
  CHECK(policy.value("SELECT ciphers FROM effective_policy") == to_text(pure.ciphers));
  CHECK(policy.value("SELECT exclude FROM effective_policy") == (is_forced(pure.level) ? united
                                                                 : exclude.empty()     ? "-"
                                                                                       : exclude));
  CHECK(pure.site_exclude == (is_forced(pure.level) ? floor_exclude : ""));
}

TEST_CASE("effective_policy: says what is not in force, and why", "[schema]") {
  PolicyDatabase policy;
  insert(policy, "secure", "verify");
  const auto row = [&] {
    return policy
        .rows(
            "SELECT mode, in_force, outbound, match, min_protocol, inbound, min_bits, on_failure "
            "FROM effective_policy",
            8)
        .at(0);
  };
  const auto why = [&] { return policy.value("SELECT why FROM effective_policy"); };
  CHECK(row() == "enforce|1|secure|mx.example|TLSv1.2|verify|128|tempfail");
  CHECK(why() == "as written in domain_policy");
  suspend(policy, "encrypt");
  CHECK_THAT(why(), StartsWith("suspension 1 until "));
  CHECK_THAT(why(), ContainsSubstring("outbound secure lowered to encrypt, inbound verify lowered "
                                      "to encrypt, because: T-1"));
  policy.must("UPDATE domain_policy SET mode = 'test'");
  CHECK(row() == "test|0|-|-|-|-|-|-");
  CHECK(why() == "mode is test: nothing is enforced, outbound would be encrypt, inbound encrypt");
  policy.must("UPDATE domain_policy SET mode = 'off'");
  CHECK(row() == "off|0|-|-|-|-|-|-");
  CHECK(why() == "mode is off: nothing is enforced");
  policy.must(
      "UPDATE domain_policy SET (mode, outbound, match, tafile, inbound, inbound_match) = "
      "('enforce', 'may', NULL, NULL, 'may', NULL)");
  CHECK(why() == "as written in domain_policy; suspension 1 to encrypt lowers nothing");
}
