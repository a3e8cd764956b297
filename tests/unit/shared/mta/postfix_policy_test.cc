#include "shared/mta/postfix_policy.h"

#include "tests/unit/catch.h"

using namespace forcetls;

TEST_CASE("to_postfix_policy: only what every supported Postfix takes", "[mta]") {
  struct Row {
    Requirement requirement;
    const char* want;
  };
  const Row rows[] = {
      {{.level = Level::None}, "none"},
      {{.level = Level::May, .exclude = "RC4"}, "may"},
      {{.level = Level::Dane, .min_protocol = Protocol::Tls13}, "dane"},
      {{.level = Level::Encrypt},
       "encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high exclude=aNULL"},
      {{.level = Level::Encrypt, .ciphers = CipherGrade::Medium, .exclude = "RC4:3DES"},
       "encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=medium exclude=aNULL:RC4:3DES"},
      {{.level = Level::Encrypt, .min_protocol = Protocol::Tls10},
       "encrypt protocols=!SSLv2:!SSLv3 ciphers=high exclude=aNULL"},
      {{.level = Level::Encrypt, .exclude = "RC4:aNULL", .site_exclude = "3DES:RC4:aNULL"},
       "encrypt protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high exclude=aNULL:RC4:3DES"},
      {{.level = Level::Secure, .match = "a", .exclude = "RC4", .site_exclude = "RC"},
       "secure match=a protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high exclude=RC4:RC"},
      {{.level = Level::Verify, .site_exclude = "3DES"},
       "verify protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high exclude=3DES"},
      {{.level = Level::May, .site_exclude = "3DES"}, "may"},
      {{.level = Level::DaneOnly, .min_protocol = Protocol::Tls11},
       "dane-only protocols=!SSLv2:!SSLv3:!TLSv1 ciphers=high"},
      {{.level = Level::Verify, .match = "mx.a:.b"},
       "verify match=mx.a:.b protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high"},
      {{.level = Level::Verify}, "verify protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high"},
      {{.level = Level::Secure, .min_protocol = Protocol::Tls13, .tafile = "/etc/x.pem"},
       "secure match=nexthop:dot-nexthop protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.2 "
       "ciphers=high tafile=/etc/x.pem"},
      {{.level = Level::Fingerprint, .match = "AA:BB|CC:DD"},
       "fingerprint match=AA:BB|CC:DD protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high"},
  };
  for (const Row& row : rows) CHECK(to_postfix_policy(row.requirement) == row.want);
}

TEST_CASE("postfix policy: what we write is read back", "[render]") {
  const Requirement wanted[] = {
      {.level = Level::May, .min_protocol = Protocol::Tls10, .ciphers = CipherGrade::Medium},
      {.level = Level::Secure,
       .match = "a.example:.b.example",
       .min_protocol = Protocol::Tls13,
       .ciphers = CipherGrade::High,
       .exclude = "kRSA:3DES",
       .tafile = "/etc/ta.pem"},
      {.level = Level::Verify, .min_protocol = Protocol::Tls11, .ciphers = CipherGrade::Medium},
      {.level = Level::Fingerprint, .match = "AA:BB|CC:DD", .min_protocol = Protocol::Tls10}};
  for (const Requirement& requirement : wanted) {
    const std::string text = to_postfix_policy(requirement);
    INFO(text);
    CHECK(requirement_in_postfix_policy(text) == requirement);
  }
}

TEST_CASE("postfix policy: of what others write nothing is counted that we do not know",
          "[render]") {
  CHECK(!requirement_in_postfix_policy(""));
  CHECK(!requirement_in_postfix_policy("Secure match=x"));
  const auto read = requirement_in_postfix_policy(
      "secure  servername=hostname,match=x protocols=>=TLSv1.3 ciphers=low broken =");
  REQUIRE(read);
  CHECK(*read == Requirement{.level = Level::Secure,
                             .match = "x",
                             .min_protocol = Protocol::Tls10,
                             .ciphers = CipherGrade::Medium});
}
