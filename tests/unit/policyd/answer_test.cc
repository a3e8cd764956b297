#include "policyd/answer.h"

#include "tests/unit/catch.h"
#include "tests/unit/fakes/rule_store.h"

using namespace forcetls;

namespace {

std::string ask(const RuleStore* store, std::string_view map, std::string_view key,
                TimePoint now = at(0)) {
  std::string reply;
  answer_map(store, {map, key, 0}, now, reply);
  return reply;
}

FakeRuleStore partners() {
  FakeRuleStore store{
      {.key = "bank.example", .outbound = Level::Secure},
      {.key = ".bank.example", .outbound = Level::Encrypt},
      {.key = "may.example", .outbound = Level::May},
      {.key = "none.example", .outbound = Level::None},
      {.key = "dane.example", .outbound = Level::Dane},
      {.key = "trial.example", .mode = Mode::Test, .outbound = Level::Secure},
      {.key = "[relay.example]:587", .outbound = Level::Verify, .match = "mx.relay.example"},
      {.key = "lmtp.example", .outbound = Level::Encrypt},
  };
  return store;
}

constexpr const char* kEncrypt =
    "OK encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high exclude=aNULL";
constexpr const char* kSecure =
    "OK secure match=nexthop:dot-nexthop protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high";

}  // namespace

TEST_CASE("map tls: a row decides, whatever the spelling of the key", "[policyd][answer]") {
  const FakeRuleStore store = partners();
  struct Row {
    const char* key;
    std::string want;
  };
  const Row rows[] = {
      {"bank.example", kSecure},
      {"BANK.Example", kSecure},
      {"bank.example.", kSecure},
      {"b\xef\xbd\x81nk.example", kSecure},  // fullwidth a
      {"bank\xe3\x80\x82"
       "example",
       kSecure},  // ideographic full stop
      {"mx.bank.example", kEncrypt},
      {"a.b.bank.example", kEncrypt},
      {".bank.example", kEncrypt},
      {"may.example", "OK may"},
      {"none.example", "OK none"},
      {"dane.example", "OK dane"},
      {"[Relay.example]:587",
       "OK verify match=mx.relay.example protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high"},
      {"trial.example", "NOTFOUND "},
      {"xbank.example", "NOTFOUND "},
      {"example", "NOTFOUND "},
      {".example", "NOTFOUND "},
      {"[bank.example]", "NOTFOUND "},
      {"bank.example:25", "NOTFOUND "},
      {"[relay.example]", "NOTFOUND "},
      {"private/dovecot-lmtp", "NOTFOUND "},
  };
  for (const Row& row : rows) {
    CAPTURE(row.key);
    CHECK(ask(&store, "tls", row.key) == row.want);
  }
}

TEST_CASE("map tls: what cannot be known is TEMP, never not found", "[policyd][answer]") {
  const FakeRuleStore store = partners();
  for (const char* key :
       {"", ".", "\xff\xfe.example", "\xf0\x9f\x92\xa9.example", "[bank.example"}) {
    CAPTURE(key);
    CHECK_THAT(ask(&store, "tls", key), StartsWith("TEMP "));
  }
  for (const char* map : {"tls", "default", "lmtp", "sendmail"})
    CHECK_THAT(ask(nullptr, map, "bank.example"), StartsWith("TEMP "));
  for (const char* map : {"", "TLS", "tlspolicy", "forced"})
    CHECK_THAT(ask(&store, map, "bank.example"), StartsWith("TEMP "));
}

TEST_CASE("an empty policy answers nothing but NOTFOUND", "[policyd][answer]") {
  const FakeRuleStore store;
  for (const char* map : {"tls", "default", "lmtp"})
    for (const char* key :
         {"bank.example", "[relay.example]", "\xf0\x9f\x92\xa9.example", "", "x/y"})
      CHECK(ask(&store, map, key) == "NOTFOUND ");
}

TEST_CASE("a suspension begins and ends to the second", "[policyd][answer]") {
  FakeRuleStore store{{.key = "bank.example", .outbound = Level::Secure}};
  store.suspend(
      {.key = "bank.example", .level = Level::May, .starts_at = at(10), .ends_at = at(20)});
  CHECK(ask(&store, "tls", "bank.example", at(9)) == kSecure);
  CHECK(ask(&store, "tls", "bank.example", at(10)) == "OK may");
  CHECK(ask(&store, "tls", "bank.example", at(19)) == "OK may");
  CHECK(ask(&store, "tls", "bank.example", at(20)) == kSecure);
}

TEST_CASE("map lmtp: only a row spelled exactly as the key counts", "[policyd][answer]") {
  const FakeRuleStore store = partners();
  CHECK(ask(&store, "lmtp", "lmtp.example") == kEncrypt);
  CHECK(ask(&store, "lmtp", "mx.bank.example") == "NOTFOUND ");
  CHECK(ask(&store, "lmtp", "private/dovecot-lmtp") == "NOTFOUND ");
  CHECK(ask(&store, "lmtp", "[127.0.0.1]:24") == "NOTFOUND ");
}

TEST_CASE("map default: the settings speak for what no row decides", "[policyd][answer]") {
  FakeRuleStore store = partners();
  CHECK(ask(&store, "default", "other.example") == "NOTFOUND ");
  CHECK(ask(&store, "default", "[other.example]") == "NOTFOUND ");
  store.mutable_settings().default_outbound = DefaultOutbound::Encrypt;
  CHECK(ask(&store, "default", "other.example") == kEncrypt);
  CHECK(ask(&store, "default", "may.example") == "OK may");
  CHECK(ask(&store, "default", "[other.example]") == "NOTFOUND ");
  store.mutable_settings().unlisted_relay = UnlistedRelay::Encrypt;
  CHECK(ask(&store, "default", "[other.example]:587") == kEncrypt);
  CHECK(ask(&store, "default", "other.example:587") == kEncrypt);
  for (const char* loopback : {"[127.0.0.1]:10025", "[::1]:24", "[ipv6:::1]", "localhost:10024",
                               "[localhost]", "localhost", "private/lmtp"}) {
    CAPTURE(loopback);
    CHECK(ask(&store, "default", loopback) == "NOTFOUND ");
  }
}

TEST_CASE("map default: a setting without any row still holds for names that cannot be converted",
          "[policyd][answer]") {
  FakeRuleStore store;
  store.mutable_settings().default_outbound = DefaultOutbound::Encrypt;
  CHECK_THAT(ask(&store, "default", "\xf0\x9f\x92\xa9.example"), StartsWith("TEMP "));
}

TEST_CASE("rows in mode test make no name wait that cannot be converted", "[policyd][answer]") {
  FakeRuleStore store{{.key = "bank.example", .mode = Mode::Test, .outbound = Level::Secure}};
  CHECK(ask(&store, "tls", "\xf0\x9f\x92\xa9.example") == "NOTFOUND ");
  store.add({.key = "enforced.example"});
  CHECK_THAT(ask(&store, "tls", "\xf0\x9f\x92\xa9.example"), StartsWith("TEMP "));
}

TEST_CASE("a row in mode test is told once per delivery, though Postfix asks by several keys",
          "[policyd][answer]") {
  const FakeRuleStore store{
      {.key = ".bank.example", .mode = Mode::Test, .outbound = Level::Secure}};
  std::string reply;
  const auto told = [&](const char* map, const char* key) {
    return answer_map(&store, {map, key, 0}, at(0), reply).key;
  };
  CHECK(told("tls", "mx.sub.bank.example") == ".bank.example");
  for (const char* later : {".sub.bank.example", ".bank.example", ".example"}) {
    CAPTURE(later);
    CHECK(told("tls", later).empty());
  }
  CHECK(told("default", "mx.sub.bank.example").empty());
}

TEST_CASE("map sendmail: the row or the setting, and OK NONE where nothing is forced",
          "[policyd][answer]") {
  FakeRuleStore store = partners();
  store.add({.key = "law.example", .outbound = Level::Secure, .match = "mx.provider.example"});
  store.add({.key = "[192.0.2.1]", .outbound = Level::Verify});
  struct Row {
    const char* key;
    const char* want;
  };
  const Row rows[] = {
      {"law.example", "OK TEMP+VERIFY:128+CN:mx.provider.example"},
      {"LAW.example.", "OK TEMP+VERIFY:128+CN:mx.provider.example"},
      {"mx.bank.example", "OK TEMP+ENCR:128"},
      {"[192.0.2.1]", "OK TEMP+VERIFY:128+CN"},
      {"may.example", "OK NONE"},
      {"none.example", "OK NONE"},
      {"trial.example", "OK NONE"},
      {"other.example", "OK NONE"},
      {"localhost", "OK NONE"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.key);
    CHECK(ask(&store, "sendmail", row.key) == row.want);
  }
  store.mutable_settings().default_outbound = DefaultOutbound::Encrypt;
  CHECK(ask(&store, "sendmail", "other.example") == "OK TEMP+ENCR:128");
  CHECK(ask(&store, "sendmail", "may.example") == "OK NONE");
}

TEST_CASE("map sendmail: what it cannot keep or tell is TEMP, never a positive answer",
          "[policyd][answer]") {
  const FakeRuleStore store = partners();
  for (const char* key :
       {"bank.example", "BANK.example.", "dane.example", "", ".", "\xff\xfe.example",
        "\xf0\x9f\x92\xa9.example", "[bank.example", "bank.example:25",
        "bank.example:other.example", "[relay.example]:587", "a/b.bank.example"}) {
    CAPTURE(key);
    CHECK_THAT(ask(&store, "sendmail", key), StartsWith("TEMP "));
  }
}

TEST_CASE("map sendmail: nothing of a key comes back in the answer, whatever bytes it has",
          "[policyd][answer]") {
  const FakeRuleStore store{{.key = "bank.example"}};
  for (const std::string& key :
       {std::string("bank.\x01\0\0/ple", 12), std::string("/\n"), std::string("a/\xff")}) {
    CAPTURE(key);
    CHECK(ask(&store, "sendmail", key) == "TEMP the key is no domain of an address");
  }
}

TEST_CASE("map sendmail: a spelling that may lead to a host with a row is TEMP",
          "[policyd][answer]") {
  FakeRuleStore store = partners();
  for (const char* key : {"\\098ank.example",
                          "b\\ank.example",
                          "bank%example",
                          "bank .example",
                          "ba!nk.example",
                          "10.0.0.1",
                          "173735973",
                          "0xa5b0125",
                          "bank.0x7f",
                          "bank.example..",
                          "bank..example",
                          "[bank.example.]",
                          "[\\098ank.example]",
                          "[0xa.1.2.3]",
                          "[173735973]",
                          "[10.1]",
                          "[010.0.0.1]",

                          "[ipv6:::ffff:10.0.0.1]",
                          "[::ffff:a00:1]",
                          "[ipv6:10.0.0.1]",
                          "[ipv6:fe80::1%eth0]",
                          "[]",
                          "[a b]"}) {
    CAPTURE(key);
    CHECK_THAT(ask(&store, "sendmail", key), StartsWith("TEMP "));
  }
  for (const char* key :
       {"other.example", "xn--bcher-kva.example", "_spf.other.example", "localhost", "3com.example",
        "0.example", "[10.0.0.1]", "[ipv6:2001:db8::1]", "[other]"})
    CHECK(ask(&store, "sendmail", key) == "OK NONE");
}

TEST_CASE("map sendmail: a name in brackets is held to the rows of the name too",
          "[policyd][answer]") {
  FakeRuleStore store{
      {.key = "bank.example", .outbound = Level::Encrypt},
      {.key = ".law.example", .outbound = Level::Verify},
      {.key = "[mx.bank.example]", .outbound = Level::May},
      {.key = ".bank.example", .outbound = Level::Encrypt},
      {.key = "[mx.law.example]", .outbound = Level::Secure, .match = "mx.law.example"},
      {.key = "[free.example]", .outbound = Level::May},
      {.key = "[ipv6:2001:db8::1]", .outbound = Level::Encrypt},
      {.key = "[2001:db8::2]", .outbound = Level::Encrypt},
  };
  CHECK(ask(&store, "sendmail", "[bank.example]") == "OK TEMP+ENCR:128");
  CHECK(ask(&store, "sendmail", "[mx.bank.example]") == "OK TEMP+ENCR:128");
  CHECK(ask(&store, "sendmail", "[a.law.example]") == "OK TEMP+VERIFY:128+CN");
  CHECK_THAT(ask(&store, "sendmail", "[mx.law.example]"), StartsWith("TEMP the rows of the name"));
  for (const char* same : {"[ipv6:2001:db8::1]", "[IPv6:2001:DB8:0:0::1]", "[2001:db8::1]",
                           "[ipv6:2001:db8::2]", "[2001:db8::0.0.0.2]"})
    CHECK(ask(&store, "sendmail", same) == "OK TEMP+ENCR:128");
  CHECK(ask(&store, "sendmail", "[ipv6:2001:db8::3]") == "OK NONE");
  store.mutable_settings().default_outbound = DefaultOutbound::Encrypt;
  CHECK(ask(&store, "sendmail", "[other.example]") == "OK TEMP+ENCR:128");
  CHECK(ask(&store, "sendmail", "[free.example]") == "OK NONE");
  CHECK(ask(&store, "sendmail", "[localhost]") == "OK NONE");
}

TEST_CASE("map sendmail: floors count, and a suspension to encrypt lifts what cannot be kept",
          "[policyd][answer]") {
  FakeRuleStore store{{.key = "bank.example", .outbound = Level::Secure, .tafile = "/ca.pem"}};
  store.suspend({.key = "bank.example", .ends_at = at(20)});
  CHECK(ask(&store, "sendmail", "bank.example", at(19)) == "OK TEMP+ENCR:128");
  CHECK_THAT(ask(&store, "sendmail", "bank.example", at(20)), StartsWith("TEMP "));
  store.mutable_settings().floor.min_protocol = Protocol::Tls13;
  CHECK_THAT(ask(&store, "sendmail", "bank.example", at(19)), StartsWith("TEMP "));
}

TEST_CASE("map sendmail: an empty policy lets everything through", "[policyd][answer]") {
  const FakeRuleStore store;
  for (const char* key :
       {"bank.example", "[192.0.2.1]", "\xf0\x9f\x92\xa9.example", "", "x/y", "a.example:25"})
    CHECK(ask(&store, "sendmail", key) == "OK NONE");
}
