// What a suspension does to a row: lowers it for a while, and nothing else.
#include <string_view>

#include "shared/core/requirement.h"
#include "tests/unit/catch.h"
#include "tests/unit/fakes/rule_store.h"
#include "tests/unit/shared/core/keys_and_levels.h"

namespace forcetls {
TEST_CASE("find_policy: a suspension is in force from its start until just before its end",
          "[core][requirement][suspension]") {
  FakeRuleStore store{{.key = "bank.example", .outbound = Level::Secure}, {.key = ".example"}};
  store.suspend({"bank.example", Level::May, at(100), at(200)})
      .suspend({"bank.example", Level::Encrypt, at(150), at(250)})
      .suspend({"bank.example", Level::May, at(160), at(170)})
      .suspend({".example", Level::May, at(0), at(1000)});
  struct {
    const char* what;
    int now;
    std::optional<Level> want;
  } const rows[] = {
      {"long before", -5000, std::nullopt},
      {"a second before the start", 99, std::nullopt},
      {"at the start", 100, Level::May},
      {"a second before a stricter one starts", 149, Level::May},
      {"of overlapping ones the strictest", 150, Level::Encrypt},
      {"whatever their order", 165, Level::Encrypt},
      {"the laxer one has ended", 200, Level::Encrypt},
      {"a second before the end", 249, Level::Encrypt},
      {"at the end", 250, std::nullopt},
      {"long after", 5000, std::nullopt},
  };
  for (const auto& [what, now, want] : rows) {
    INFO(what);
    CHECK(find_policy(store, key("bank.example"), at(now)).cap == want);
    CHECK(find_exact_policy(store, key("bank.example"), at(now)).cap == want);
  }
}

TEST_CASE("find_policy: only a suspension of the row that decides counts",
          "[core][requirement][suspension]") {
  FakeRuleStore store{
      {.key = "bank.example"}, {.key = ".bank.example"}, {.key = "t.example", .mode = Mode::Test}};
  store.suspend({.key = ".bank.example", .level = Level::May})
      .suspend({.key = "t.example", .level = Level::May})
      .suspend({.key = "x.bank.example", .level = Level::May});
  CHECK_FALSE(find_policy(store, key("bank.example"), at(1)).cap);
  CHECK(find_policy(store, key("x.bank.example"), at(1)).cap == Level::May);
  CHECK_FALSE(find_policy(store, key("t.example"), at(1)).cap);
  CHECK_FALSE(find_policy(store, key("other.example"), at(1)).cap);
}

TEST_CASE("capped: a suspension lowers what a row demands of mail to the domain",
          "[core][requirement][suspension]") {
  struct {
    Level level, not_suspended, to_encrypt, to_may;
  } const rows[] = {
      {Level::None, Level::None, Level::None, Level::None},
      {Level::May, Level::May, Level::May, Level::May},
      {Level::Encrypt, Level::Encrypt, Level::Encrypt, Level::May},
      // dane waits when TLSA records do not fit; who suspends it to encrypt wants it encrypted.
      {Level::Dane, Level::Dane, Level::Encrypt, Level::May},
      {Level::DaneOnly, Level::DaneOnly, Level::Encrypt, Level::May},
      {Level::Fingerprint, Level::Fingerprint, Level::Encrypt, Level::May},
      {Level::Verify, Level::Verify, Level::Encrypt, Level::May},
      {Level::Secure, Level::Secure, Level::Encrypt, Level::May},
  };
  for (const auto& [level, not_suspended, to_encrypt, to_may] : rows) {
    INFO(to_text(level));
    CHECK(capped(level, std::nullopt) == not_suspended);
    CHECK(capped(level, Level::Encrypt) == to_encrypt);
    CHECK(capped(level, Level::May) == to_may);
  }
}

TEST_CASE("capped: and of mail from it", "[core][requirement][suspension]") {
  struct {
    InboundLevel level, not_suspended, to_encrypt, to_may;
  } const rows[] = {
      {InboundLevel::May, InboundLevel::May, InboundLevel::May, InboundLevel::May},
      {InboundLevel::Encrypt, InboundLevel::Encrypt, InboundLevel::Encrypt, InboundLevel::May},
      {InboundLevel::Verify, InboundLevel::Verify, InboundLevel::Encrypt, InboundLevel::May},
  };
  for (const auto& [level, not_suspended, to_encrypt, to_may] : rows) {
    INFO(to_text(level));
    CHECK(capped(level, std::nullopt) == not_suspended);
    CHECK(capped(level, Level::Encrypt) == to_encrypt);
    CHECK(capped(level, Level::May) == to_may);
  }
}

TEST_CASE("outbound_requirement: a lowered level loses names and anchor, keeps the rest",
          "[core][requirement][suspension]") {
  const Rule rule{.outbound = {.level = Level::Secure,
                               .match = "mx.bank.example",
                               .min_protocol = Protocol::Tls13,
                               .ciphers = CipherGrade::Medium,
                               .exclude = "aNULL",
                               .tafile = "etc/bank.pem"}};
  CHECK(outbound_requirement(rule, std::nullopt, Floor{}) == rule.outbound);
  const Requirement lowered{.level = Level::Encrypt,
                            .match = {},
                            .min_protocol = Protocol::Tls13,
                            .ciphers = CipherGrade::Medium,
                            .exclude = "aNULL",
                            .tafile = {}};
  CHECK(outbound_requirement(rule, Level::Encrypt, Floor{}) == lowered);
  CHECK(outbound_requirement(rule, Level::May, Floor{}).level == Level::May);
  CHECK(outbound_requirement(rule, Level::May, Floor{}).match.empty());
}

TEST_CASE("inbound_requirement: a lowered level loses the names, keeps protocol and bits",
          "[core][requirement][suspension]") {
  const Rule rule{.inbound = {.level = InboundLevel::Verify,
                              .match = "mx.bank.example",
                              .min_protocol = Protocol::Tls13,
                              .min_bits = 256}};
  CHECK(inbound_requirement(rule, std::nullopt).match == "mx.bank.example");
  const InboundRequirement lowered = inbound_requirement(rule, Level::Encrypt);
  CHECK(lowered.level == InboundLevel::Encrypt);
  CHECK(lowered.match.empty());
  CHECK(lowered.min_protocol == Protocol::Tls13);
  CHECK(lowered.min_bits == 256);
  CHECK(inbound_requirement(rule, Level::May).level == InboundLevel::May);
}

}  // namespace forcetls
