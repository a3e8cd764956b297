// Every spelling of a partner that an MTA may ask for must meet the partner's row, or fail closed.
// The dangerous outcome is a key that is a little beside the row: the mail then leaves in clear.
#include "shared/core/next_hop_key.h"

#include <string>
#include <string_view>

#include "tests/unit/catch.h"

namespace forcetls {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

/// The key of `text`, or "unconvertible".
std::string key_of(std::string_view text) {
  const auto key = NextHopKey::parse(text);
  if (key) return key->text;
  CHECK(key.error().code == ErrorCode::Unconvertible);
  CHECK_FALSE(key.error().context.empty());
  return "unconvertible";
}

std::string repeated(std::size_t count, std::string_view piece) {
  std::string text;
  while (count-- > 0) text += piece;
  return text;
}

struct Spelling {
  const char* what;
  std::string_view text;
  std::string_view want;
};

}  // namespace

TEST_CASE("key: an ASCII name is lower-cased, loses one trailing dot and nothing else",
          "[core][key]") {
  const Spelling rows[] = {
      {"as in the table", "bank.example", "bank.example"},
      {"as people shout it", "BANK.Example", "bank.example"},
      {"with the root's dot", "bank.example.", "bank.example"},
      {"one label", "localhost", "localhost"},
      {"a parent key, as Postfix asks for it", ".bank.example", ".bank.example"},
      {"a parent key with the root's dot", ".Bank.Example.", ".bank.example"},
      {"an A-label", "XN--BNK-IDN-5WA.test", "xn--bnk-idn-5wa.test"},
      {"an A-label that is no punycode", "xn--.example", "xn--.example"},
      {"hyphens that libidn2 refuses: a video server", "r3---sn-x.example", "r3---sn-x.example"},
      {"hyphens that libidn2 refuses: 3 and 4", "ab--cd.example", "ab--cd.example"},
      {"underscore at the front", "_dmarc.bank.example", "_dmarc.bank.example"},
      {"underscore inside", "mail_out.bank.example", "mail_out.bank.example"},
      {"an address without brackets", "192.0.2.1", "192.0.2.1"},
      {"neighbours of the letters in ASCII", "@`{^z.example", "@`{^z.example"},
      {"two trailing dots: no domain has them", "bank.example..", "bank.example."},
      {"empty label", "bank..example", "bank..example"},
      {"blank at the end", "bank.example ", "bank.example "},
      {"NUL byte", "bank.example\0.test"sv, "bank.example\0.test"sv},
  };
  for (const auto& [what, text, want] : rows) {
    INFO(what);
    CHECK(key_of(text) == want);
    CHECK(NextHopKey::parse(text)->kind == KeyKind::Name);
  }
}

TEST_CASE("key: an odd Unicode spelling that Postfix delivers to the partner is the partner's key",
          "[core][key][idna]") {
  // The first nine were each delivered in clear when not converted (facts: second-look 6).
  const Spelling rows[] = {
      {"ideographic full stop", "bank\u3002example", "bank.example"},
      {"halfwidth ideographic full stop", "bank\uFF61example", "bank.example"},
      {"fullwidth letters", "\uFF42\uFF41\uFF4E\uFF4B.example", "bank.example"},
      {"soft hyphen", "ba\u00ADnk.example", "bank.example"},
      {"zero width space", "ba\u200Bnk.example", "bank.example"},
      {"circled b", "\u24D1ank.example", "bank.example"},
      {"Kelvin sign", "ban\u212A.example", "bank.example"},
      {"long s", "trea\u017Fury.example", "treasury.example"},
      {"fullwidth capital", "\uFF22ANK.example", "bank.example"},
      {"fullwidth full stop", "bank\uFF0Eexample", "bank.example"},
      {"word joiner", "bank.exam\u2060ple", "bank.example"},
      {"variation selector", "bank.exam\uFE0Fple", "bank.example"},
      {"zero width space at the end", "bank.example\u200B", "bank.example"},
      {"ideographic full stop at the end", "bank.example\u3002", "bank.example"},
      {"ideographic full stops only", "sub\u3002bank\u3002example\u3002", "sub.bank.example"},
      {"U-label", "b\u00E4nk-idn.test", "xn--bnk-idn-5wa.test"},
      {"U-label in capitals", "B\u00C4NK-IDN.TEST", "xn--bnk-idn-5wa.test"},
      {"U-label, decomposed", "ba\u0308nk-idn.test", "xn--bnk-idn-5wa.test"},
      {"U-label beside capital ASCII labels", "B\u00E4nk-Idn.TEST", "xn--bnk-idn-5wa.test"},
      {"parent key with a U-label", ".b\u00E4nk-idn.test", ".xn--bnk-idn-5wa.test"},
      {"underscore beside a U-label", "_x.b\u00E4nk-idn.test", "_x.xn--bnk-idn-5wa.test"},
      {"sharp s stays itself (non-transitional)", "stra\u00DFe.example", "xn--strae-oqa.example"},
      {"final sigma stays itself", "\u03C2.example", "xn--3xa.example"},
      {"Han", "\u65E5\u672C.example", "xn--wgv71a.example"},
  };
  for (const auto& [what, text, want] : rows) {
    INFO(what);
    CHECK(key_of(text) == want);
  }
}

TEST_CASE("key: what cannot be converted is an error, never a key that no row has",
          "[core][key][idna]") {
  const std::string too_many_bytes = repeated(5'000, "\u00E4");
  const std::string label_of_64 = "\u00E4" + std::string(63, 'a') + ".example";
  const std::string name_of_256 = "\u00E4." + repeated(4, std::string(62, 'a') + ".") + "example";
  const Spelling rows[] = {
      {"nothing", "", "unconvertible"},
      {"the root", ".", "unconvertible"},
      {"the ideographic root", "\u3002", "unconvertible"},
      {"only a zero width space", "\u200B", "unconvertible"},
      {"emoji: ICU takes them, libidn2 does not", "\U0001F600.example", "unconvertible"},
      {"snowman", "\u2603.example", "unconvertible"},
      {"hyphens 3 and 4 beside a U-label", "r3---sn-x.b\u00E4nk.example", "unconvertible"},
      {"no punycode behind xn-- beside a U-label", "xn--b\u00E4nk.example", "unconvertible"},
      {"hyphen before a U-label", "-b\u00E4nk.example", "unconvertible"},
      {"hyphen behind a U-label", "b\u00E4nk-.example", "unconvertible"},
      {"one dot leader, which would be a dot", "bank\u2024example", "unconvertible"},
      {"zero width joiner out of place", "\u200Dbank.example", "unconvertible"},
      {"zero width non-joiner out of place", "ba\u200Cnk.example", "unconvertible"},
      {"digits of two scripts", "0\u0660.example", "unconvertible"},
      {"blank beside a U-label", "b\u00E4nk .example", "unconvertible"},
      {"@ beside a U-label", "b\u00E4nk@x.example", "unconvertible"},
      {"ideographic blank", "bank\u3000.example", "unconvertible"},
      {"no-break space at the end", "bank.example\u00A0", "unconvertible"},
      {"fullwidth slash makes no local path", "bank\uFF0Fexample", "unconvertible"},
      {"fullwidth colon makes no port", "bank.example\uFF1A25", "unconvertible"},
      {"fullwidth brackets make no next hop", "\uFF3Bbank.example\uFF3D", "unconvertible"},
      {"NUL byte beside a U-label", "b\u00E4nk.example\0.test"sv, "unconvertible"},
      {"Latin-1, not UTF-8", "b\xE4nk.example", "unconvertible"},
      {"a lone continuation byte", "b\x80nk.example", "unconvertible"},
      {"an overlong dot",
       "bank\xC0\xAE"
       "example",
       "unconvertible"},
      {"a surrogate", "bank\xED\xA0\x80.example", "unconvertible"},
      {"cut in the middle of a character", "bank.example\xE3\x80", "unconvertible"},
      {"bytes that never occur in UTF-8", "\xFF\xFE", "unconvertible"},
      {"a label of more than 63 bytes", label_of_64, "unconvertible"},
      {"a name of more than 255 bytes", name_of_256, "unconvertible"},
      {"10,000 bytes of U-label", too_many_bytes, "unconvertible"},
  };
  for (const auto& [what, text, want] : rows) {
    INFO(what);
    CHECK(key_of(text) == want);
  }
}

TEST_CASE("key: a next hop keeps its brackets and port, its host is a name like others",
          "[core][key]") {
  const Spelling rows[] = {
      {"host", "[mx.bank.example]", "[mx.bank.example]"},
      {"host and port", "[relay.example]:587", "[relay.example]:587"},
      {"capitals and a dot", "[BANK.example.]:587", "[bank.example]:587"},
      {"name and port", "Relay.Example:587", "relay.example:587"},
      {"name with a dot and port", "relay.example.:587", "relay.example:587"},
      {"service name", "relay.example:SUBMISSION", "relay.example:submission"},
      {"address", "[192.0.2.1]:25", "[192.0.2.1]:25"},
      {"IPv6 address", "[2001:DB8::1]:25", "[2001:db8::1]:25"},
      {"tagged IPv6 address", "[ipv6:2001:DB8::1]", "[ipv6:2001:db8::1]"},
      {"tagged IPv6 address, RFC 5321", "[IPv6:2001:db8::1]:25", "[ipv6:2001:db8::1]:25"},
      {"U-label", "[b\u00E4nk-idn.test]:587", "[xn--bnk-idn-5wa.test]:587"},
      {"U-label and port", "B\u00C4NK-idn.test:25", "xn--bnk-idn-5wa.test:25"},
      {"ideographic full stop", "[mx\u3002bank\u3002example]", "[mx.bank.example]"},
      {"fullwidth full stop and port", "mx\uFF0Ebank\uFF0Eexample:25", "mx.bank.example:25"},
      {"text behind the bracket", "[bank.example]x", "[bank.example]x"},
  };
  for (const auto& [what, text, want] : rows) {
    INFO(what);
    CHECK(key_of(text) == want);
    CHECK(NextHopKey::parse(text)->kind == KeyKind::NextHop);
  }
}

TEST_CASE("key: a next hop without a convertible host is an error", "[core][key]") {
  const Spelling rows[] = {
      {"no closing bracket", "[bank.example", "unconvertible"},
      {"only a bracket", "[", "unconvertible"},
      {"empty brackets", "[]", "unconvertible"},
      {"empty brackets and a port", "[]:25", "unconvertible"},
      {"only a dot in brackets", "[.]", "unconvertible"},
      {"only a port", ":25", "unconvertible"},
      {"emoji in brackets", "[\U0001F600.example]", "unconvertible"},
      {"emoji and a port", "\U0001F600.example:25", "unconvertible"},
      {"Latin-1 in brackets", "[b\xE4nk.example]:25", "unconvertible"},
      {"NUL byte in brackets", "[b\u00E4nk\0.example]"sv, "unconvertible"},
      {"fullwidth bracket inside", "[b\u00E4nk\uFF3D.example]", "unconvertible"},
      {"fullwidth colon behind the bracket", "[bank.example]\uFF1A25", "unconvertible"},
      {"fullwidth digits for a port", "bank.example:\uFF12\uFF15", "unconvertible"},
  };
  for (const auto& [what, text, want] : rows) {
    INFO(what);
    CHECK(key_of(text) == want);
  }
}

TEST_CASE("key: whatever has a slash is a local path", "[core][key]") {
  for (const auto* text : {"private/dovecot-lmtp", "/run/lmtp.sock", "/", "unix:private/lmtp",
                           "[bank.example]/25", "B\u00C4NK/x", "b\xFFnk/x"}) {
    INFO(text);
    const auto key = NextHopKey::parse(text);
    REQUIRE(key);
    CHECK(key->kind == KeyKind::LocalPath);
  }
}

TEST_CASE("key: 10,000 bytes are a key or an error, without delay or overflow", "[core][key]") {
  CHECK(key_of(std::string(10'000, 'A')) == std::string(10'000, 'a'));
  CHECK(key_of(std::string(10'000, '.')) == std::string(9'999, '.'));
  CHECK(key_of("[" + std::string(10'000, 'a')) == "unconvertible");
  CHECK(key_of("[" + std::string(10'000, 'A') + "]") == "[" + std::string(10'000, 'a') + "]");
  CHECK(key_of(std::string(10'000, ':')) == std::string(10'000, ':'));
  CHECK(key_of(std::string(10'000, '\xC3')) == "unconvertible");
  CHECK(key_of(repeated(3'000, "\u3002")) == "unconvertible");
  CHECK(key_of(repeated(2'500, "a\u00AD")) == "unconvertible");
}

TEST_CASE("key: a key is its own key", "[core][key]") {
  for (const auto* text : {"Bank.Example.", "B\u00C4NK-idn.test", "[MX.Bank.example.]:25",
                           ".Bank.example", "bank.example:25", "bank\u3002example"}) {
    INFO(text);
    const std::string once = key_of(text);
    CHECK(key_of(once) == once);
  }
}

TEST_CASE("domain_of_address: what follows the last @, as a key", "[core][key]") {
  const Spelling rows[] = {
      {"plain", "u@bank.example", "bank.example"},
      {"in angle brackets", "<u@bank.example>", "bank.example"},
      {"capitals", "U@BANK.EXAMPLE", "bank.example"},
      {"trailing dot", "<u@bank.example.>", "bank.example"},
      {"U-label", "u@b\u00E4nk-idn.test", "xn--bnk-idn-5wa.test"},
      {"@ in a quoted local part", "\"a@b\"@bank.example", "bank.example"},
      {"source route", "<@relay.example:u@bank.example>", "bank.example"},
      {"percent hack: the domain is ours", "u%bank.example@ours.example", "ours.example"},
      {"address literal", "u@[192.0.2.1]", "[192.0.2.1]"},
      {"IPv6 address literal", "u@[IPv6:2001:db8::1]", "[ipv6:2001:db8::1]"},
      {"null sender", "", ""},
      {"null sender in angle brackets", "<>", ""},
      {"no domain", "postmaster", ""},
      {"no domain in angle brackets", "<postmaster>", ""},
      {"nothing behind the @", "u@", ""},
      {"nothing behind the @ in angle brackets", "<u@>", ""},
      {"only an @", "@", ""},
      {"only a dot behind the @", "u@.", "unconvertible"},
      {"emoji", "u@\U0001F600.example", "unconvertible"},
      {"not UTF-8", "u@b\xE4nk.example", "unconvertible"},
      {"open address literal", "u@[192.0.2.1", "unconvertible"},
  };
  for (const auto& [what, text, want] : rows) {
    INFO(what);
    const auto key = domain_of_address(text);
    CHECK((key ? key->text : "unconvertible"s) == want);
  }
}

TEST_CASE("domain_of_address: without '@' that of a bang path or percent hack, as Postfix rewrites",
          "[core][key]") {
  struct {
    const char* address;
    const char* want;
  } const rows[] = {
      {"<Bank.Example!boss>", "bank.example"},
      {"bank.example!other.example!boss", "bank.example"},
      {"boss%bank.example", "bank.example"},
      {"a%b.example%bank.example", "bank.example"},
      {"bank.example!a%b.example", "bank.example"},
      {"u%bank.example@ours.example", "ours.example"},
      {"!boss", ""},
      {"boss%", ""},
      {"boss", ""},
      {"", ""},
      {"<>", ""},
  };
  for (const auto& [address, want] : rows) {
    CAPTURE(address);
    const auto domain = domain_of_address(address);
    REQUIRE(domain);
    CHECK(domain->text == want);
  }
}

}  // namespace forcetls
