// What main.cf demands of every forced connection holds for our answers too.
#include "shared/core/requirement.h"
#include "shared/core/verdict.h"
#include "tests/unit/catch.h"
#include "tests/unit/fakes/rule_store.h"
#include "tests/unit/shared/core/keys_and_levels.h"

namespace forcetls {
namespace {

const Floor kFloor{"3DES:RC4", Protocol::Tls13, CipherGrade::High};

}  // namespace

TEST_CASE("raised_to: only forced levels, and never downwards", "[core][requirement]") {
  struct {
    const char* what;
    Requirement requirement;
    Floor floor;
    Requirement want;
  } const rows[] = {
      {"no floor",
       {.level = Level::Secure, .exclude = "aNULL"},
       {},
       {.level = Level::Secure, .exclude = "aNULL"}},
      {"a higher floor raises",
       {.level = Level::Encrypt, .ciphers = CipherGrade::Medium},
       kFloor,
       {.level = Level::Encrypt,
        .min_protocol = Protocol::Tls13,
        .ciphers = CipherGrade::High,
        .site_exclude = "3DES:RC4"}},
      {"a lower floor does not lower",
       {.level = Level::Verify, .min_protocol = Protocol::Tls13},
       {"", Protocol::Tls11, CipherGrade::Medium},
       {.level = Level::Verify, .min_protocol = Protocol::Tls13}},
      {"each part for itself",
       {.level = Level::DaneOnly, .min_protocol = Protocol::Tls10, .exclude = "aNULL"},
       {"RC4", Protocol::Tls11, CipherGrade::Medium},
       {.level = Level::DaneOnly,
        .min_protocol = Protocol::Tls11,
        .exclude = "aNULL",
        .site_exclude = "RC4"}},
      {"none", {.level = Level::None}, kFloor, {.level = Level::None}},
      {"may", {.level = Level::May}, kFloor, {.level = Level::May}},
      {"dane", {.level = Level::Dane}, kFloor, {.level = Level::Dane}},
      {"fingerprint",
       {.level = Level::Fingerprint, .match = "AA"},
       kFloor,
       {.level = Level::Fingerprint,
        .match = "AA",
        .min_protocol = Protocol::Tls13,
        .site_exclude = "3DES:RC4"}},
  };
  for (const auto& [what, requirement, floor, want] : rows) {
    INFO(what);
    CHECK(raised_to(requirement, floor) == want);
  }
}

TEST_CASE("floors hold for rows, suspended rows, exact rows and the defaults",
          "[core][requirement]") {
  FakeRuleStore store{{.key = "bank.example", .outbound = Level::Secure},
                      {.key = "held.example", .outbound = Level::Secure},
                      {.key = "may.example", .outbound = Level::May}};
  store.suspend({.key = "held.example", .level = Level::Encrypt});
  store.mutable_settings().floor = kFloor;
  store.mutable_settings().default_outbound = DefaultOutbound::Encrypt;
  store.mutable_settings().unlisted_relay = UnlistedRelay::Encrypt;
  for (const char* asked :
       {"bank.example", "held.example", "other.example", "[relay.example]:587"}) {
    INFO(asked);
    const auto requirement = effective_requirement(store, key(asked), at(1));
    REQUIRE(requirement);
    CHECK(requirement->min_protocol == Protocol::Tls13);
    CHECK(requirement->site_exclude == "3DES:RC4");
  }
  CHECK(effective_requirement(store, key("may.example"), at(1)) ==
        Requirement{.level = Level::May});
}

TEST_CASE("a floor asks as much of the relay as of the domain: the route stays fit",
          "[core][requirement]") {
  FakeRuleStore store{{.key = "bank.example", .min_protocol = Protocol::Tls13},
                      {.key = "[relay.example]", .min_protocol = Protocol::Tls12}};
  store.mutable_settings().enforcing_transports = {"smtp"};
  const auto reason = [&] {
    return judge_route(store, key("bank.example"), {"smtp", "[relay.example]"}, at(0)).reason;
  };
  CHECK(reason() == Reason::RouteNextHop);
  store.mutable_settings().floor.min_protocol = Protocol::Tls13;
  CHECK(reason() == Reason::NoRule);
}

TEST_CASE("Settings: an empty floor demands nothing, a bad one is not taken", "[core][settings]") {
  Settings settings;
  CHECK(settings.set("floor_exclude", "RC4:3DES"));
  CHECK(settings.set("floor_min_protocol", "TLSv1.3"));
  CHECK(settings.set("floor_ciphers", "high"));
  const Floor before = settings.floor;
  CHECK(before == Floor{"RC4:3DES", Protocol::Tls13, CipherGrade::High});
  for (const auto& [name, value] :
       {std::pair{"floor_exclude", "RC4 3DES"}, std::pair{"floor_exclude", "RC4,3DES"},
        std::pair{"floor_exclude", "a b=c"}, std::pair{"floor_min_protocol", "SSLv3"},
        std::pair{"floor_min_protocol", "TLSv1.2 "}, std::pair{"floor_ciphers", "low"}}) {
    INFO(name << " = " << value);
    CHECK_FALSE(settings.set(name, value));
    CHECK(settings.floor == before);
  }
  for (const char* name : {"floor_exclude", "floor_min_protocol", "floor_ciphers"})
    CHECK(settings.set(name, ""));
  CHECK(settings.floor == Floor{});
}

}  // namespace forcetls
