// What holds for a next hop without a row, and whether mail may go by way of a next hop.
#include <string>
#include <string_view>

#include "shared/core/requirement.h"
#include "tests/unit/catch.h"
#include "tests/unit/fakes/rule_store.h"
#include "tests/unit/shared/core/keys_and_levels.h"

namespace forcetls {
namespace {

std::string level_of(const std::optional<Requirement>& requirement) {
  return requirement ? std::string(to_text(requirement->level)) : "-";
}

constexpr std::string_view kLoopback[] = {
    "[127.0.0.1]",
    "[127.0.0.1]:10025",
    "127.0.0.1:10025",
    "127.0.0.1",
    "[127.1.2.3]",
    "[127.0.0.1.]:25",
    "[::1]",
    "[::1]:10025",
    "[IPv6:::1]",
    "[ipv6:::1]:25",
    "[0:0:0:0:0:0:0:1]",
    "::1:10025",
    "[localhost]",
    "[LOCALHOST]:10025",
    "[localhost.]:25",
    "localhost:24",
    "LocalHost:24",
    "localhost.:24",
    "localhost",
    "localhost.",
    "[::ffff:127.0.0.1]",
    "[IPv6:::FFFF:127.0.0.1]:25",
    "\uFF4Cocalhost:24",
};

constexpr std::string_view kNotLoopback[] = {
    "[128.0.0.1]",
    "[126.255.255.255]",
    "[10.0.0.1]:10025",
    "[192.168.0.1]",
    "[::2]",
    "[::]",
    "[0.0.0.0]",
    "[::ffff:10.0.0.1]",
    "[fe80::1]",
    "localhost.example:24",
    "[localhost.example]",
    "notlocalhost:24",
    "[127.0.0.1.example]",
    "[127.0.0.1x]",
    "[127.0.0]",
    "relay.example:127",
    "[relay.example]:24",
    "relay.example:localhost",
    "[relay.example]localhost",
    "[127.0.0.1]:25, [relay.example]:25",
    "[127.0.0.1] [relay.example]",
    "[127.0.0.1].relay.example",
};

}  // namespace

TEST_CASE("is_loopback: mail there does not leave the host, in whatever spelling",
          "[core][requirement]") {
  for (const auto text : kLoopback) {
    INFO(text);
    CHECK(is_loopback(key(text)));
  }
  for (const auto text : kNotLoopback) {
    INFO(text);
    CHECK_FALSE(is_loopback(key(text)));
  }
}

TEST_CASE("default_requirement: unset settings demand nothing of anybody", "[core][requirement]") {
  const Settings unset;
  for (const auto* text : {"bank.example", ".example", "[relay.example]:25", "private/lmtp"})
    CHECK_FALSE(default_requirement(unset, key(text)));
}

TEST_CASE("default_requirement: unlisted_relay=encrypt is for next hops on other hosts",
          "[core][requirement]") {
  Settings settings;
  REQUIRE(settings.set("unlisted_relay", "encrypt"));
  CHECK(level_of(default_requirement(settings, key("[relay.example]"))) == "encrypt");
  for (const auto text : kNotLoopback) {
    INFO(text);
    CHECK(level_of(default_requirement(settings, key(text))) == "encrypt");
  }
  for (const auto text : kLoopback) {
    INFO(text);
    CHECK(level_of(default_requirement(settings, key(text))) == "-");
  }
  CHECK(level_of(default_requirement(settings, key("bank.example"))) == "-");
  CHECK(level_of(default_requirement(settings, key("private/dovecot-lmtp"))) == "-");
}

TEST_CASE("default_requirement: default_outbound=encrypt is for domains", "[core][requirement]") {
  Settings settings;
  REQUIRE(settings.set("default_outbound", "encrypt"));
  CHECK(level_of(default_requirement(settings, key("bank.example"))) == "encrypt");
  CHECK(level_of(default_requirement(settings, key(".example"))) == "encrypt");
  CHECK(level_of(default_requirement(settings, key("192.0.2.1"))) == "encrypt");
  CHECK(level_of(default_requirement(settings, key("localhost"))) == "-");
  CHECK(level_of(default_requirement(settings, key("[relay.example]"))) == "-");
  CHECK(level_of(default_requirement(settings, key("relay.example:25"))) == "-");
  CHECK(level_of(default_requirement(settings, key("private/dovecot-lmtp"))) == "-");
  CHECK(level_of(default_requirement(settings, NextHopKey{})) == "-");
}

TEST_CASE("default_requirement: default_outbound=learn raises nobody whom nothing is known of",
          "[core][requirement]") {
  Settings settings;
  REQUIRE(settings.set("default_outbound", "learn"));
  CHECK(level_of(default_requirement(settings, key("bank.example"))) == "-");
}

TEST_CASE("effective_requirement: a row before the defaults, also one that demands less",
          "[core][requirement]") {
  FakeRuleStore store{{.key = "bank.example", .outbound = Level::Secure},
                      {.key = "old.example", .outbound = Level::May},
                      {.key = "none.example", .outbound = Level::None},
                      {.key = "trial.example", .mode = Mode::Test, .outbound = Level::Secure},
                      {.key = "[127.0.0.1]:10025", .outbound = Level::Encrypt},
                      {.key = "broken.example", .outbound = Level::Verify}};
  store.suspend({.key = "broken.example", .level = Level::May, .ends_at = at(60)});
  REQUIRE(store.mutable_settings().set("default_outbound", "encrypt"));
  REQUIRE(store.mutable_settings().set("unlisted_relay", "encrypt"));
  struct {
    const char* what;
    std::string_view asked;
    int now;
    std::string_view want;
  } const rows[] = {
      {"row", "bank.example", 0, "secure"},
      {"row that allows clear", "old.example", 0, "may"},
      {"row that forbids TLS", "none.example", 0, "none"},
      {"row in test: as if there were none", "trial.example", 0, "encrypt"},
      {"suspended row, not the default", "broken.example", 59, "may"},
      {"suspension over", "broken.example", 60, "verify"},
      {"no row: default_outbound", "other.example", 0, "encrypt"},
      {"sub-domain of a row without a dot", "mx.bank.example", 0, "encrypt"},
      {"no row: unlisted_relay", "[bank.example]", 0, "encrypt"},
      {"a row for loopback counts", "[127.0.0.1]:10025", 0, "encrypt"},
      {"loopback without a row", "[127.0.0.1]:10026", 0, "-"},
      {"local path", "private/lmtp", 0, "-"},
  };
  for (const auto& [what, asked, now, want] : rows) {
    INFO(what);
    CHECK(level_of(effective_requirement(store, key(asked), at(now))) == want);
  }
}

TEST_CASE("effective_requirement: an empty policy demands nothing", "[core][requirement]") {
  const FakeRuleStore empty;
  for (const auto* text : {"bank.example", "[relay.example]", "relay.example:25", "[127.0.0.1]:24"})
    CHECK_FALSE(effective_requirement(empty, key(text), at(0)));
}

TEST_CASE("satisfies: mail may go by way of a hop that proves at least as much",
          "[core][requirement]") {
  struct {
    Level wanted;
    std::string_view by_hop[8];
  } const table[] = {
      // a hop held to: none, may, encrypt, dane, dane-only, fingerprint, verify, secure
      {Level::None, {"yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes"}},
      {Level::May, {"yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes"}},
      {Level::Encrypt, {"no", "no", "yes", "no", "yes", "yes", "yes", "yes"}},
      {Level::Dane, {"yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes"}},
      {Level::DaneOnly, {"no", "no", "no", "no", "yes", "yes", "no", "yes"}},
      {Level::Fingerprint, {"no", "no", "no", "no", "yes", "yes", "no", "yes"}},
      {Level::Verify, {"no", "no", "no", "no", "yes", "yes", "yes", "yes"}},
      {Level::Secure, {"no", "no", "no", "no", "yes", "yes", "no", "yes"}},
  };
  for (const auto& [wanted, by_hop] : table) {
    for (std::size_t i = 0; i < std::size(kLevels); ++i) {
      INFO("wanted " << to_text(wanted) << ", hop " << to_text(kLevels[i]));
      const Requirement hop{.level = kLevels[i]};
      CHECK(satisfies(hop, Requirement{.level = wanted}) == (by_hop[i] == "yes"));
    }
    INFO("wanted " << to_text(wanted) << ", hop without any requirement");
    CHECK(satisfies(std::nullopt, Requirement{.level = wanted}) == !is_forced(wanted));
  }
}

TEST_CASE("satisfies: nor may the hop allow an older protocol or a lower grade",
          "[core][requirement]") {
  const auto encrypt = [](Protocol protocol, CipherGrade grade) {
    return Requirement{.level = Level::Encrypt, .min_protocol = protocol, .ciphers = grade};
  };
  using enum Protocol;
  using enum CipherGrade;
  struct {
    const char* what;
    Requirement hop, wanted;
    bool want;
  } const rows[] = {
      {"the same", encrypt(Tls12, High), encrypt(Tls12, High), true},
      {"newer", encrypt(Tls13, High), encrypt(Tls12, High), true},
      {"higher grade", encrypt(Tls12, High), encrypt(Tls12, Medium), true},
      {"older", encrypt(Tls11, High), encrypt(Tls12, High), false},
      {"much older", encrypt(Tls10, High), encrypt(Tls13, High), false},
      {"lower grade", encrypt(Tls12, Medium), encrypt(Tls12, High), false},
      {"newer, but lower grade", encrypt(Tls13, Medium), encrypt(Tls12, High), false},
      {"higher grade, but older", encrypt(Tls12, High), encrypt(Tls13, Medium), false},
      {"stricter level, but older",
       {.level = Level::Secure, .min_protocol = Tls11},
       encrypt(Tls12, High),
       false},
      {"where clear is allowed, protocol and grade are nothing",
       {.level = Level::None, .min_protocol = Tls10},
       {.level = Level::May, .min_protocol = Tls13},
       true},
  };
  for (const auto& [what, hop, wanted, want] : rows) {
    INFO(what);
    CHECK(satisfies(hop, wanted) == want);
  }
}

}  // namespace forcetls
