#include "shared/db/snapshot.h"

#include <fmt/format.h>

#include "shared/core/next_hop_key.h"
#include "shared/db/patched_policy.h"
#include "tests/unit/catch.h"
#include "tests/unit/fakes/rule_store.h"

using namespace forcetls;

TEST_CASE("Snapshot: gives back each row as it was added", "[db][snapshot]") {
  SnapshotBuilder builder;
  const Rule full{.key = "[relay.example]:587",
                  .mode = Mode::Test,
                  .outbound = {.level = Level::Secure,
                               .match = "a:b",
                               .min_protocol = Protocol::Tls13,
                               .ciphers = CipherGrade::Medium,
                               .exclude = "RC4",
                               .tafile = "/etc/ta.pem"},
                  .inbound = {.level = InboundLevel::Verify,
                              .match = "c",
                              .min_protocol = Protocol::Tls13,
                              .min_bits = 256},
                  .on_failure = OnFailure::Reroute,
                  .fallback = "smtp:[gateway.example]"};
  REQUIRE(builder.add(full));
  REQUIRE(builder.add({.key = "bank.example"}));
  const auto snapshot = builder.build();
  const auto found = snapshot->find_rule("[relay.example]:587");
  REQUIRE(found);
  CHECK(found->key == full.key);
  CHECK(found->mode == full.mode);
  CHECK(found->outbound == full.outbound);
  CHECK(found->inbound.level == full.inbound.level);
  CHECK(found->inbound.match == full.inbound.match);
  CHECK(found->inbound.min_protocol == full.inbound.min_protocol);
  CHECK(found->inbound.min_bits == full.inbound.min_bits);
  CHECK(found->on_failure == full.on_failure);
  CHECK(found->fallback == full.fallback);
  CHECK(snapshot->find_rule("bank.example")->outbound == Requirement{.level = Level::Encrypt});
  for (const char* absent : {"", "bank.exampl", "bank.examplee", "BANK.example", "a:b"})
    CHECK_FALSE(snapshot->find_rule(absent));
}

TEST_CASE("Snapshot: an empty one finds nothing and says that it is empty", "[db][snapshot]") {
  const auto snapshot = SnapshotBuilder().build();
  CHECK(snapshot->enforces_nothing());
  CHECK_FALSE(snapshot->find_rule("bank.example"));
  CHECK_FALSE(snapshot->active_cap("bank.example", at(0)));
}

TEST_CASE("Snapshot: many rows with texts of their own keep them apart", "[db][snapshot]") {
  constexpr int kRows = 20'000;  // more than the texts that are shared
  SnapshotBuilder builder;
  for (int i = 0; i < kRows; ++i) {
    const std::string key = fmt::format("d{}.example", i);
    const std::string match = fmt::format("mx.d{}.example", i);
    REQUIRE(builder.add({.key = key, .outbound = {.level = Level::Secure, .match = match}}));
  }
  const auto snapshot = builder.build();
  CHECK(snapshot->size() == kRows);
  for (int i = 0; i < kRows; i += 7)
    REQUIRE(snapshot->find_rule(fmt::format("d{}.example", i))->outbound.match ==
            fmt::format("mx.d{}.example", i));
  CHECK_FALSE(snapshot->find_rule(fmt::format("d{}.example", kRows)));
}

TEST_CASE("Snapshot: a key too long for a row is refused", "[db][snapshot]") {
  SnapshotBuilder builder;
  const std::string longest(kMaxKeyBytes, 'a');
  CHECK(builder.add({.key = longest}));
  CHECK_FALSE(builder.add({.key = longest + "a"}));
}

TEST_CASE("Snapshot: of overlapping suspensions the stricter is in force", "[db][snapshot]") {
  SnapshotBuilder builder;
  REQUIRE(builder.add({.key = "bank.example"}));
  builder.suspend("bank.example", Level::May, at(0), at(100));
  builder.suspend("bank.example", Level::Encrypt, at(50), at(60));
  const auto snapshot = builder.build();
  CHECK_FALSE(snapshot->active_cap("bank.example", at(-1)));
  CHECK(snapshot->active_cap("bank.example", at(0)) == Level::May);
  CHECK(snapshot->active_cap("bank.example", at(50)) == Level::Encrypt);
  CHECK(snapshot->active_cap("bank.example", at(60)) == Level::May);
  CHECK_FALSE(snapshot->active_cap("bank.example", at(100)));
  CHECK_FALSE(snapshot->active_cap("other.example", at(50)));
}

TEST_CASE("Snapshot: for_each_rule visits every row once", "[db][snapshot]") {
  SnapshotBuilder builder;
  REQUIRE(builder.add({.key = "a.example", .mode = Mode::Test}));
  REQUIRE(builder.add({.key = "[b.example]:25", .outbound = {.level = Level::Secure}}));
  const auto snapshot = builder.build();
  std::vector<std::string> seen;
  snapshot->for_each_rule([&](const Rule& rule) {
    seen.push_back(fmt::format("{} {}", rule.key, to_text(rule.outbound.level)));
  });
  CHECK(seen == std::vector<std::string>{"a.example encrypt", "[b.example]:25 secure"});
}

TEST_CASE("PatchedPolicy: for_each_rule takes the changed keys from the patch", "[db][snapshot]") {
  SnapshotBuilder base, patch;
  for (const char* key : {"same.example", "changed.example", "deleted.example"})
    REQUIRE(base.add({.key = key}));
  REQUIRE(patch.add({.key = "changed.example", .outbound = {.level = Level::Secure}}));
  REQUIRE(patch.add({.key = "new.example"}));
  const PatchedPolicy policy(base.build(), patch.build(),
                             {"changed.example", "deleted.example", "new.example"});
  std::vector<std::string> seen;
  policy.for_each_rule([&](const Rule& rule) {
    seen.push_back(fmt::format("{} {}", rule.key, to_text(rule.outbound.level)));
  });
  CHECK(seen == std::vector<std::string>{"same.example encrypt", "changed.example secure",
                                         "new.example encrypt"});
}
