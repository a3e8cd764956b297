#include "shared/db/setting_table.h"

#include "tests/unit/catch.h"
#include "tests/unit/policy_file.h"

using namespace forcetls;

namespace {

const std::string kAuthor = "forcetls test";

}  // namespace

TEST_CASE("write_settings: what is written is read, the rest stays", "[db]") {
  const PolicyFile policy;
  policy.init();
  const SettingTable before = read_settings(policy.path()).value();
  REQUIRE(write_settings(policy.path(), {{"floor_ciphers", "high"}, {"own_domains", "a.example"}},
                         kAuthor));
  SettingTable want = before;
  want["floor_ciphers"] = "high";
  want["own_domains"] = "a.example";
  CHECK(read_settings(policy.path()).value() == want);
  REQUIRE(write_settings(policy.path(), {}, kAuthor));
  CHECK(read_settings(policy.path()).value() == want);
}

TEST_CASE("write_settings: all or none, and the schema's own sentence", "[db]") {
  const PolicyFile policy;
  policy.init();
  const SettingTable before = read_settings(policy.path()).value();
  const auto refused =
      write_settings(policy.path(), {{"floor_ciphers", "high"}, {"floor_exclude", "a b"}}, kAuthor);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::Malformed);
  CHECK_THAT(refused.error().context, ContainsSubstring("floor_exclude must be"));
  CHECK(read_settings(policy.path()).value() == before);
}

TEST_CASE("settings of what is no policy database: an error", "[db]") {
  const PolicyFile policy;
  CHECK(read_settings(policy.path()).error().code == ErrorCode::NotFound);
  CHECK(write_settings(policy.path(), {}, kAuthor).error().code == ErrorCode::NotFound);
  REQUIRE(policy.sql("CREATE TABLE setting (name, value)"));
  CHECK(read_settings(policy.path()).error().code == ErrorCode::NotOurs);
  CHECK(write_settings(policy.path(), {}, kAuthor).error().code == ErrorCode::NotOurs);
}

TEST_CASE("settings_written_by: until somebody else writes another value", "[db]") {
  using Names = std::set<std::string>;
  const PolicyFile policy;
  policy.init();
  const auto written = [&] { return settings_written_by(policy.path(), kAuthor).value(); };
  CHECK(written().empty());
  REQUIRE(write_settings(policy.path(), {{"own_domains", "a.example"}}, "somebody else"));
  CHECK(written().empty());
  REQUIRE(write_settings(policy.path(), {{"own_domains", "b.example"}, {"floor_ciphers", "high"}},
                         kAuthor));
  CHECK(written() == Names{"floor_ciphers", "own_domains"});
  REQUIRE(policy.sql("UPDATE setting SET value = 'c.example' WHERE name = 'own_domains'"));
  CHECK(written() == Names{"floor_ciphers"});
  // By hand, as all that is not signed, and what failed left no signature behind.
  REQUIRE_FALSE(write_settings(policy.path(), {{"own_domains", "B"}}, kAuthor));
  REQUIRE(policy.sql("UPDATE setting SET value = 'd.example' WHERE name = 'own_domains'"));
  CHECK(written() == Names{"floor_ciphers"});
}
