// The words of the policy table and of the table `setting`.
#include "shared/core/policy.h"

#include <string_view>

#include "tests/unit/catch.h"

namespace forcetls {

using namespace std::string_view_literals;

TEST_CASE("words: each value has the one spelling that database and Postfix use",
          "[core][policy]") {
  const auto check = [](auto from, auto value, std::string_view word) {
    INFO(word);
    CHECK(to_text(value) == word);
    CHECK(from(word) == value);
  };
  check(level_from, Level::None, "none");
  check(level_from, Level::May, "may");
  check(level_from, Level::Encrypt, "encrypt");
  check(level_from, Level::Dane, "dane");
  check(level_from, Level::DaneOnly, "dane-only");
  check(level_from, Level::Fingerprint, "fingerprint");
  check(level_from, Level::Verify, "verify");
  check(level_from, Level::Secure, "secure");
  check(mode_from, Mode::Off, "off");
  check(mode_from, Mode::Test, "test");
  check(mode_from, Mode::Enforce, "enforce");
  check(protocol_from, Protocol::Tls10, "TLSv1");
  check(protocol_from, Protocol::Tls11, "TLSv1.1");
  check(protocol_from, Protocol::Tls12, "TLSv1.2");
  check(protocol_from, Protocol::Tls13, "TLSv1.3");
  check(grade_from, CipherGrade::Medium, "medium");
  check(grade_from, CipherGrade::High, "high");
  check(inbound_level_from, InboundLevel::May, "may");
  check(inbound_level_from, InboundLevel::Encrypt, "encrypt");
  check(inbound_level_from, InboundLevel::Verify, "verify");
  check(on_failure_from, OnFailure::Tempfail, "tempfail");
  check(on_failure_from, OnFailure::Reject, "reject");
  check(on_failure_from, OnFailure::Reroute, "reroute");
}

TEST_CASE("words: other spellings are nothing", "[core][policy]") {
  for (const auto word :
       {""sv, "Encrypt"sv, " encrypt"sv, "encrypt "sv, "encrypt\0"sv, "encrypted"sv, "enc"sv,
        "dane_only"sv, "daneonly"sv, "0"sv, "?"sv, "TLSv1.0"sv, "TLSv1.4"sv, "tlsv1.2"sv, "SSLv3"sv,
        ">=TLSv1.2"sv, "low"sv, "null"sv}) {
    INFO(word);
    CHECK_FALSE(level_from(word));
    CHECK_FALSE(mode_from(word));
    CHECK_FALSE(protocol_from(word));
    CHECK_FALSE(grade_from(word));
    if (word != "encrypt") CHECK_FALSE(inbound_level_from(word));
    CHECK_FALSE(on_failure_from(word));
  }
  CHECK_FALSE(inbound_level_from("secure"));
}

TEST_CASE("settings: what they are before the table says anything", "[core][policy]") {
  const Settings settings;
  CHECK(settings.default_outbound == DefaultOutbound::Unset);
  CHECK(settings.unlisted_relay == UnlistedRelay::Unset);
  CHECK(settings.clear_submission == ClearSubmission::Tempfail);
  CHECK(settings.tls_required_header == TlsRequiredHeader::Auto);
  CHECK_FALSE(settings.is_trusted("127.0.0.1"));
  CHECK_FALSE(settings.is_own("example.com"));
  CHECK_FALSE(settings.is_enforcing("smtp"));
}

TEST_CASE("settings: a value that a setting cannot have is refused and changes nothing",
          "[core][policy]") {
  Settings settings;
  REQUIRE(settings.set("default_outbound", "learn"));
  REQUIRE(settings.set("unlisted_relay", "encrypt"));
  REQUIRE(settings.set("clear_submission", "accept"));
  REQUIRE(settings.set("tls_required_header", "tempfail"));
  REQUIRE(settings.set("trusted_clients", "192.0.2.0/24, 2001:db8::/32"));
  struct {
    std::string_view name, value;
  } const rows[] = {
      {"default_outbound", ""},           {"default_outbound", "Encrypt"},
      {"default_outbound", "may"},        {"default_outbound", "secure"},
      {"unlisted_relay", "learn"},        {"unlisted_relay", ""},
      {"clear_submission", "reject"},     {"clear_submission", "accept "},
      {"tls_required_header", "off"},     {"tls_required_header", "AUTO"},
      {"trusted_clients", "localhost"},   {"trusted_clients", "198.51.100.0/24 192.0.2.0/33"},
      {"trusted_clients", "mynetworks"},  {"trusted_clients", "198.51.100.0/24 nonsense"},
      {"trusted_clients", "!192.0.2.66"}, {"trusted_clients", "192.0.2.0/24;198.51.100.1"},
  };
  for (const auto& [name, value] : rows) {
    INFO(name << " = " << value);
    CHECK_FALSE(settings.set(name, value));
  }
  CHECK(settings.default_outbound == DefaultOutbound::Learn);
  CHECK(settings.unlisted_relay == UnlistedRelay::Encrypt);
  CHECK(settings.clear_submission == ClearSubmission::Accept);
  CHECK(settings.tls_required_header == TlsRequiredHeader::Tempfail);
  CHECK(settings.is_trusted("192.0.2.1"));
  CHECK_FALSE(settings.is_trusted("198.51.100.1"));
}

TEST_CASE("settings: a name for other programs is taken and changes nothing", "[core][policy]") {
  Settings settings;
  for (const auto* name : {"forward_level", "early_tempfail", "check_interval", "unheard_of", ""})
    CHECK(settings.set(name, "encrypt"));
  CHECK(settings.default_outbound == DefaultOutbound::Unset);
  CHECK(settings.unlisted_relay == UnlistedRelay::Unset);
}

TEST_CASE("settings: trusted_clients are networks, however they are separated", "[core][policy]") {
  Settings settings;
  REQUIRE(settings.set("trusted_clients", "  127.0.0.0/8 ::1,10.0.0.0/8,\n\t192.0.2.7  "));
  for (const auto* address :
       {"127.0.0.1", "::1", "10.9.8.7", "192.0.2.7", "::ffff:10.1.1.1", "IPv6:::1"}) {
    INFO(address);
    CHECK(settings.is_trusted(address));
  }
  for (const auto* address : {"192.0.2.8", "11.0.0.1", "::2", "", "unknown", "::ffff:192.0.2.8",
                              "10.0.0.0/8", "2001:db8::1"}) {
    INFO(address);
    CHECK_FALSE(settings.is_trusted(address));
  }
  REQUIRE(settings.set("trusted_clients", ""));
  CHECK_FALSE(settings.is_trusted("127.0.0.1"));
}

TEST_CASE("settings: own_domains are names, or .name for their sub-domains", "[core][policy]") {
  Settings settings;
  REQUIRE(settings.set("own_domains", "example.com .example.org xn--bnk-idn-5wa.test"));
  for (const auto* domain : {"example.com", "mail.example.org", "a.b.example.org", ".example.org",
                             "xn--bnk-idn-5wa.test"}) {
    INFO(domain);
    CHECK(settings.is_own(domain));
  }
  for (const auto* domain : {"", "example.org", "mail.example.com", "myexample.com", "com",
                             "myexample.org", "example.com.evil.example", "[example.com]"}) {
    INFO(domain);
    CHECK_FALSE(settings.is_own(domain));
  }
}

TEST_CASE("settings: enforcing_transports are whole names", "[core][policy]") {
  Settings settings;
  REQUIRE(settings.set("enforcing_transports", "smtp relay forcetls esmtp"));
  CHECK(settings.is_enforcing("smtp"));
  CHECK(settings.is_enforcing("esmtp"));
  for (const auto* transport : {"", "SMTP", "smtp-clear", "smt", "smtp relay", "local", "smtp:"}) {
    INFO(transport);
    CHECK_FALSE(settings.is_enforcing(transport));
  }
}

}  // namespace forcetls
