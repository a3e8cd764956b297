// Does the doctor notice a policyd that goes by other rows?
#include <algorithm>

#include "shared/mta/postfix_policy.h"
#include "tests/unit/shared/mta/doctor_rows.h"

using namespace forcetls;

namespace {

constexpr const char* kMap = "socketmap:unix:forcetls/map.sock:tls";
constexpr const char* kSecure =
    "secure match=nexthop:dot-nexthop protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high";
constexpr const char* kEncrypt =
    "encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high exclude=aNULL";

const Told kLeak{"leak certain policyd-answers @ main.cf: smtp_tls_policy_maps: " +
                 std::string(kMap)};
const Told kWarning{"warning certain policyd-answers @ main.cf: smtp_tls_policy_maps: " +
                    std::string(kMap)};

/// What the map `map` answers for bank.example; empty: not found.
void answer(Bench& bench, const std::string& text, const std::string& map = kMap) {
  bench.facts.live_answers[map].asked_at = at(0);
  if (!text.empty()) bench.facts.live_answers[map].answers["bank.example"] = text;
}

Change told(const char* what, std::string text, Told want) {
  return {what, [=](Bench& b) { answer(b, text); }, std::move(want)};
}

}  // namespace

TEST_CASE("doctor: what policyd answers for a row", "[doctor]") {
  check_all({
      told("the row", kSecure, {}),
      told("nothing", "", kLeak),
      told("may", "may", kLeak),
      told("dane, which goes in clear without records", "dane", kLeak),
      told("encrypt", kEncrypt, kLeak),
      told("verify", "verify protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high", kLeak),
      told("another name", std::string(kSecure).replace(13, 19, "old.example"), kLeak),
      told("an older protocol",
           "secure match=nexthop:dot-nexthop protocols=!SSLv2:!SSLv3:!TLSv1 ciphers=high", kLeak),
      told("a lower grade",
           "secure match=nexthop:dot-nexthop protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 "
           "ciphers=medium",
           kLeak),
      told("no protocols", "secure match=nexthop:dot-nexthop", kLeak),
      told("a trust anchor that the row has not", std::string(kSecure) + " tafile=/x.pem", kLeak),
      told("a newer protocol",
           "secure match=nexthop:dot-nexthop protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.2 "
           "ciphers=high",
           kWarning),
      told("another proof of the same strength",
           "dane-only protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high", kWarning),
      told("a word that Postfix does not know", "nonsense", kWarning),
      {"no answer",
       [](Bench& b) {
         answer(b, "");
         b.facts.live_answers[kMap].failures["bank.example"] = "no policy";
       },
       kWarning},
      {"it was not asked", [](Bench&) {}, {}},
  });
}

TEST_CASE("doctor: policyd's answers to rows of every kind", "[doctor]") {
  Bench bench;
  bench.bolt_on();
  bench.policy.mutable_settings().floor.exclude = "kRSA";
  bench.row({.key = ".shop.example"}).row({.key = "[relay.example]:587"});
  bench.row({.key = "off.example", .mode = Mode::Test})
      .row({.key = "may.example", .outbound = Level::May});
  auto& answers = bench.facts.live_answers[kMap].answers;
  bench.facts.live_answers[kMap].asked_at = at(0);
  answers[".shop.example"] = answers["[relay.example]:587"] = std::string(kEncrypt) + ":kRSA";
  CHECK(bench.told().empty());
  answers[".shop.example"] = kEncrypt;  // Without what the site excludes.
  CHECK(bench.told() == kLeak);
}

TEST_CASE("doctor: a suspension between question and verdict is no disagreement", "[doctor]") {
  for (const int begins : {-10, -1, 10}) {
    INFO(begins);
    Bench bench;
    bench.bolt_on().bank();
    bench.policy.suspend({.key = "bank.example", .level = Level::May, .starts_at = at(begins)});
    bench.facts.live_answers[kMap].asked_at = at(-5);
    bench.facts.live_answers[kMap].answers["bank.example"] = "may";
    const bool is_suspended = begins < 5;
    CHECK(bench.told() == (is_suspended ? Told{} : kLeak));
    bench.facts.live_answers[kMap].answers["bank.example"] = kSecure;
    CHECK(bench.told() == (begins == -10 ? kWarning : Told{}));
  }
}

TEST_CASE("doctor: a socketmap of somebody else that is called tls", "[doctor]") {
  const std::string other = "socketmap:inet:127.0.0.1:8461:tls";
  Bench bench;
  bench.bolt_on().bank().set("smtp_tls_policy_maps", other);
  answer(bench, "", other);
  REQUIRE(bench.told() ==
          Told{"leak certain policyd-answers @ main.cf: smtp_tls_policy_maps: " + other});
  CHECK(bench.findings().front().fix ==
        "postconf -e 'smtp_tls_policy_maps=socketmap:unix:forcetls/map.sock:tls, " + other +
            "' && postfix reload");
  // It knows no row, so that ours is asked next.
  bench.set("smtp_tls_policy_maps", other + ", " + kMap);
  answer(bench, kSecure);
  CHECK(bench.told().empty());
  answer(bench, "may", other);
  CHECK(bench.told() ==
        Told{"leak certain policyd-answers @ main.cf: smtp_tls_policy_maps: " + other});
}

TEST_CASE("doctor: one service asks a policyd of its own", "[doctor]") {
  const std::string other = "socketmap:unix:forcetls/old/map.sock:tls";
  Bench bench;
  bench.bolt_on().bank().option("relay/unix", "smtp_tls_policy_maps", other);
  answer(bench, kSecure);
  answer(bench, kEncrypt, other);
  CHECK(bench.told() ==
        Told{"leak certain policyd-answers @ master.cf: relay/unix: -o smtp_tls_policy_maps: " +
             other});
  CHECK(bench.findings().front().fix == "systemctl restart forcetls-policyd");
  CHECK_THAT(bench.findings().front().what, ContainsSubstring("bank.example it says encrypt"));
}
