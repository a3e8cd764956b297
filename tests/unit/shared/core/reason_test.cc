// The sentences: one per reason, for log, SMTP reply and manual alike.
#include <set>
#include <string>
#include <string_view>

#include "shared/core/verdict.h"
#include "tests/unit/catch.h"

namespace forcetls {
namespace {

constexpr Reason kReasons[] = {
    Reason::NoRule,          Reason::Trusted,        Reason::InboundClear,
    Reason::InboundProtocol, Reason::InboundBits,    Reason::InboundCertificate,
    Reason::ClearSubmission, Reason::RouteTransport, Reason::RouteNextHop,
    Reason::TlsRequiredNo,   Reason::NameUnknown,    Reason::PolicyUnavailable,
};

bool is_printable_ascii(std::string_view text) {
  for (const char c : text)
    if (c < 0x20 || c > 0x7e) return false;
  return true;
}

}  // namespace

TEST_CASE("smtp_reply: each refusal says what was wrong, of whom, and what to do",
          "[core][verdict][reply]") {
  struct {
    Reason reason;
    std::string_view detail, want;
  } const rows[] = {
      {Reason::InboundClear, "",
       "451 4.7.4 mail from bank.example must arrive over TLS; use STARTTLS"},
      {Reason::InboundProtocol, "TLSv1.1",
       "451 4.7.6 mail from bank.example must arrive over a newer TLS version than TLSv1.1"},
      {Reason::InboundBits, "56 bits",
       "451 4.7.6 mail from bank.example must arrive with a stronger cipher than 56 bits"},
      {Reason::InboundCertificate, "",
       "451 4.7.5 mail from bank.example must arrive with an agreed client certificate; none was "
       "verified"},
      {Reason::ClearSubmission, "",
       "451 4.7.4 mail for bank.example must be handed over with TLS; use STARTTLS"},
      {Reason::RouteTransport, "smtp-clear",
       "451 4.7.1 TLS is required for bank.example, but transport smtp-clear does not ask forcetls "
       "(see setting enforcing_transports)"},
      {Reason::RouteNextHop, "[relay.example]",
       "451 4.7.1 TLS is required for bank.example, but it goes by way of [relay.example], whose "
       "own requirement is weaker (see table domain_policy)"},
      {Reason::TlsRequiredNo, "",
       "451 4.7.1 TLS is required for bank.example; remove the header TLS-Required: no"},
      {Reason::NameUnknown, "",
       "451 4.7.0 the domain bank.example cannot be looked up in the TLS policy"},
      {Reason::PolicyUnavailable, "", "451 4.7.0 the TLS policy cannot be read; try again later"},
  };
  for (const auto& [reason, detail, want] : rows) {
    INFO(want);
    Verdict verdict{Action::Defer, reason, "bank.example", std::string(detail)};
    CHECK(smtp_reply(verdict) == want);
    verdict.action = Action::Reject;
    CHECK(smtp_reply(verdict) == "550 5" + std::string(want.substr(5)));
  }
}

TEST_CASE("smtp_reply: no opinion is no reply", "[core][verdict][reply]") {
  for (const Reason reason : kReasons)
    CHECK(smtp_reply({Action::NoOpinion, reason, "bank.example", ""}).empty());
}

TEST_CASE("describe: each reason has a word of its own", "[core][verdict][reply]") {
  std::set<std::string_view> words;
  for (const Reason reason : kReasons) {
    const ReasonText text = describe({Action::Defer, reason, "bank.example", "x"});
    INFO(text.word);
    CHECK(words.insert(text.word).second);
    CHECK(text.word.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == text.word.npos);
    CHECK(text.status_tail.starts_with("7."));
    CHECK_FALSE(text.text.empty());
  }
}

TEST_CASE("smtp_reply: what a client says never leaves its place in the line",
          "[core][verdict][reply]") {
  const std::string hostile[] = {
      "bank.example\r\n250 2.0.0 Ok",
      std::string("a\0b", 3),
      "\x1b[31mred",
      "b\u00E4nk.example",
      "bank\u3002example",
      "\xFF\xFE",
      "a\x7f",
      "a\tb",
  };
  for (const Reason reason : kReasons) {
    for (const std::string& text : hostile) {
      INFO(text);
      CHECK(is_printable_ascii(smtp_reply({Action::Defer, reason, text, text})));
      CHECK(is_printable_ascii(describe({Action::NoOpinion, reason, text, text}).text));
    }
  }
}

TEST_CASE("smtp_reply: one line of at most 512 bytes (RFC 5321 s4.5.3.1.5)",
          "[core][verdict][reply]") {
  constexpr std::size_t kLongestWithoutCrLf = 510;
  const std::string long_text(10'000, 'a');
  for (const Reason reason : kReasons) {
    const std::string reply = smtp_reply({Action::Defer, reason, long_text, long_text});
    INFO(reply);
    CHECK(reply.size() <= kLongestWithoutCrLf);
  }
}

TEST_CASE("what could not be decided waits", "[core][verdict][reply]") {
  CHECK(policy_unavailable().action == Action::Defer);
  CHECK(policy_unavailable().reason == Reason::PolicyUnavailable);
  CHECK(name_unknown("b\xE4nk.example").action == Action::Defer);
  CHECK(name_unknown("b\xE4nk.example").reason == Reason::NameUnknown);
  CHECK(smtp_reply(name_unknown("b\xE4nk.example")) ==
        "451 4.7.0 the domain b?nk.example cannot be looked up in the TLS policy");
}

}  // namespace forcetls
