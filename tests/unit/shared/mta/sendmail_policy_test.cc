#include "shared/mta/sendmail_policy.h"

#include "tests/unit/catch.h"

using namespace forcetls;

namespace {

std::string answer(const std::optional<Requirement>& requirement) {
  std::string text;
  append_sendmail_answer(text, requirement);
  return text;
}

}  // namespace

TEST_CASE("sendmail: a requirement with an exact form is told in that form", "[mta][sendmail]") {
  struct Row {
    std::optional<Requirement> requirement;
    const char* want;
  };
  const Row rows[] = {
      {std::nullopt, "OK NONE"},
      {{{.level = Level::None}}, "OK NONE"},
      {{{.level = Level::May, .min_protocol = Protocol::Tls13, .exclude = "RC4"}}, "OK NONE"},
      {{{.level = Level::May, .site_exclude = "RC4"}}, "OK NONE"},
      {{{.level = Level::Encrypt}}, "OK TEMP+ENCR:128"},
      {{{.level = Level::Encrypt, .min_protocol = Protocol::Tls10, .ciphers = CipherGrade::Medium}},
       "OK TEMP+ENCR:128"},
      {{{.level = Level::Verify}}, "OK TEMP+VERIFY:128+CN"},
      {{{.level = Level::Verify, .match = "mx.bank.example"}},
       "OK TEMP+VERIFY:128+CN:mx.bank.example"},
      {{{.level = Level::Secure, .match = "mx.bank.example"}},
       "OK TEMP+VERIFY:128+CN:mx.bank.example"},
      {{{.level = Level::Secure, .match = "xn--bcher-kva.example"}},
       "OK TEMP+VERIFY:128+CN:xn--bcher-kva.example"},
  };
  for (const Row& row : rows) CHECK(answer(row.requirement) == row.want);
}

TEST_CASE("sendmail: what has no exact form is refused in a sentence that names it",
          "[mta][sendmail]") {
  struct Row {
    Requirement requirement;
    const char* named;
  };
  const Row rows[] = {
      {{.level = Level::Dane}, "level dane:"},
      {{.level = Level::DaneOnly}, "level dane-only"},
      {{.level = Level::Fingerprint, .match = "AA:BB"}, "level fingerprint"},
      {{.level = Level::Secure}, "level secure"},
      {{.level = Level::Secure, .match = ".bank.example"}, "level secure"},
      {{.level = Level::Secure, .match = "a.example:b.example"}, "level secure"},
      {{.level = Level::Secure, .match = "a.example:.a.example"}, "level secure"},
      {{.level = Level::Secure, .match = "nexthop"}, "level secure"},
      {{.level = Level::Secure, .match = "dot-nexthop"}, "level secure"},
      {{.level = Level::Secure, .match = "nexthop:dot-nexthop"}, "level secure"},
      {{.level = Level::Secure, .match = "hostname"}, "level secure"},
      {{.level = Level::Secure, .match = "*.bank.example"}, "level secure"},
      {{.level = Level::Secure, .match = "a.example+CI"}, "level secure"},
      {{.level = Level::Secure, .match = "a.example b"}, "level secure"},
      {{.level = Level::Secure, .match = "a.example>"}, "level secure"},
      {{.level = Level::Secure, .match = "a.example."}, "level secure"},
      {{.level = Level::Secure, .match = "mx.BANK.example"}, "level secure"},
      {{.level = Level::Verify, .match = ".bank.example"}, "level verify"},
      {{.level = Level::Verify, .match = "a.example:b.example"}, "level verify"},
      {{.level = Level::Verify, .match = "nexthop"}, "level verify"},
      {{.level = Level::Encrypt, .min_protocol = Protocol::Tls13}, "TLSv1.3"},
      {{.level = Level::Encrypt, .exclude = "3DES"}, "exclude"},
      {{.level = Level::Encrypt, .tafile = "/etc/ca.pem"}, "tafile"},
      {{.level = Level::Encrypt, .site_exclude = "RC4"}, "floor_exclude"},
      {{.level = Level::Verify, .min_protocol = Protocol::Tls13}, "TLSv1.3"},
      {{.level = Level::Verify, .tafile = "/etc/ca.pem"}, "tafile"},
      {{.level = Level::Secure, .match = "a.example", .tafile = "/etc/ca.pem"}, "tafile"},
      {{.level = Level::Secure, .match = "a.example", .exclude = "3DES"}, "exclude"},
      {{.level = Level::Secure, .match = "a.example", .site_exclude = "RC4"}, "floor_exclude"},
  };
  for (const Row& row : rows) {
    const std::string text = answer(row.requirement);
    CAPTURE(row.requirement.match);
    CHECK_THAT(text, StartsWith("TEMP Sendmail cannot keep "));
    CHECK_THAT(text, ContainsSubstring(row.named));
  }
}

TEST_CASE("sendmail: a next hop that is no domain of an address is told apart", "[mta][sendmail]") {
  struct Row {
    const char* text;
    bool want;
  };
  const Row rows[] = {
      {"bank.example", true},     {".bank.example", true},     {"localhost", true},
      {"[192.0.2.1]", true},      {"[mx.bank.example]", true}, {"[mx.bank.example]:587", false},
      {"bank.example:25", false}, {"a/b.bank.example", false},
  };
  for (const Row& row : rows) {
    const auto key = NextHopKey::parse(row.text);
    REQUIRE(key);
    CAPTURE(row.text);
    CHECK(is_recipient_domain(*key) == row.want);
  }
}
