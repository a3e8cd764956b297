#include "shared/db/setting_table.h"

#include "tests/unit/catch.h"
#include "tests/unit/policy_file.h"

using namespace forcetls;

TEST_CASE("write_settings: what is written is read, the rest stays", "[db]") {
  const PolicyFile policy;
  policy.init();
  const SettingTable before = read_settings(policy.path()).value();
  REQUIRE(write_settings(policy.path(), {{"floor_ciphers", "high"}, {"own_domains", "a.example"}}));
  SettingTable want = before;
  want["floor_ciphers"] = "high";
  want["own_domains"] = "a.example";
  CHECK(read_settings(policy.path()).value() == want);
  REQUIRE(write_settings(policy.path(), {}));
  CHECK(read_settings(policy.path()).value() == want);
}

TEST_CASE("write_settings: all or none, and the schema's own sentence", "[db]") {
  const PolicyFile policy;
  policy.init();
  const SettingTable before = read_settings(policy.path()).value();
  const auto refused =
      write_settings(policy.path(), {{"floor_ciphers", "high"}, {"floor_exclude", "a b"}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::Malformed);
  CHECK_THAT(refused.error().context, ContainsSubstring("floor_exclude must be"));
  CHECK(read_settings(policy.path()).value() == before);
}

TEST_CASE("settings of what is no policy database: an error", "[db]") {
  const PolicyFile policy;
  CHECK(read_settings(policy.path()).error().code == ErrorCode::NotFound);
  CHECK(write_settings(policy.path(), {}).error().code == ErrorCode::NotFound);
  REQUIRE(policy.sql("CREATE TABLE setting (name, value)"));
  CHECK(read_settings(policy.path()).error().code == ErrorCode::NotOurs);
  CHECK(write_settings(policy.path(), {}).error().code == ErrorCode::NotOurs);
}
