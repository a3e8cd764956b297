// inbound=verify: the client certificate must be one that inbound_match lists.
#include <string>
#include <string_view>

#include "shared/core/verdict.h"
#include "tests/unit/catch.h"
#include "tests/unit/fakes/rule_store.h"

namespace forcetls {
namespace {

/// A SHA-256 digest of equal bytes, as Postfix writes one: "AB:AB:...".
std::string digest(std::string_view byte, int length = 32) {
  std::string text(byte);
  while (--length > 0) (text += ':') += byte;
  return text;
}

const std::string kListed = digest("AB");
const std::string kOther = digest("CD");

Reason judged(std::string_view listed, SessionFacts session) {
  session.client_address = "203.0.113.9";
  session.tls_version = "TLSv1.3";
  const FakeRuleStore store{{.key = "bank.example",
                             .inbound = InboundLevel::Verify,
                             .inbound_match = std::string(listed)}};
  return judge_sender(store, NextHopKey::parse("bank.example").value(), session, at(0)).reason;
}

struct Shown {
  const char* what;
  std::string_view listed;
  SessionFacts session;
};

}  // namespace

TEST_CASE("inbound verify: a listed certificate is accepted", "[core][verdict][certificate]") {
  const std::string two_digests = kOther + "|" + kListed;
  const std::string mixed = kOther + "|mx1.bank.example:mx2.bank.example";
  const std::string small = digest("ab");
  const std::string sha1 = digest("AB", 20);
  const Shown rows[] = {
      {"digest of the certificate", kListed, {.certificate_digest = kListed}},
      {"digest of the public key", kListed, {.public_key_digest = kListed}},
      {"digest in small letters", kListed, {.certificate_digest = small}},
      {"digest listed in small letters", small, {.certificate_digest = kListed}},
      {"second digest", two_digests, {.certificate_digest = kListed}},
      {"SHA-1 digest", sha1, {.certificate_digest = sha1}},
      {"name", "mx.bank.example", {.certificate_name = "mx.bank.example"}},
      {"name in capitals", "mx.bank.example", {.certificate_name = "MX.Bank.Example"}},
      {"second name", "a.example:mx.bank.example", {.certificate_name = "mx.bank.example"}},
      {"sub-domain of a listed .name", ".bank.example", {.certificate_name = "mx.bank.example"}},
      {"name beside digests", mixed, {.certificate_name = "mx2.bank.example"}},
      {"name that is no host", "Bank Client 7", {.certificate_name = "Bank Client 7"}},
      {"stray separators", "||mx.bank.example::|", {.certificate_name = "mx.bank.example"}},
  };
  for (const auto& [what, listed, session] : rows) {
    INFO(what);
    CHECK(judged(listed, session) == Reason::NoRule);
  }
}

TEST_CASE("inbound verify: any other is refused", "[core][verdict][certificate]") {
  const std::string one_byte_short = digest("AB", 31);
  const std::string one_byte_more = kListed + ":AB";
  const std::string nearly = digest("AB", 31) + ":AC";
  const std::string only_separators = "||::|";
  const Shown rows[] = {
      {"no certificate at all", kListed, {}},
      {"no certificate, name listed", "mx.bank.example", {}},
      {"nothing is listed", "", {.certificate_name = "mx.bank.example"}},
      {"nothing is listed, nothing is shown", "", {}},
      {"only separators are listed", only_separators, {}},
      {"another certificate", kListed, {.certificate_digest = kOther}},
      {"another public key", kListed, {.public_key_digest = kOther}},
      {"last byte differs", kListed, {.certificate_digest = nearly}},
      {"a byte is missing", kListed, {.certificate_digest = one_byte_short}},
      {"a byte too many", kListed, {.certificate_digest = one_byte_more}},
      {"another name", "mx.bank.example", {.certificate_name = "mx.evil.example"}},
      {"name with something before it", "bank.example", {.certificate_name = "evilbank.example"}},
      {"sub-domain of a name without a dot",
       "bank.example",
       {.certificate_name = "mx.bank.example"}},
      {".name itself is no sub-domain", ".bank.example", {.certificate_name = "bank.example"}},
      {".name with nothing before the dot", ".bank.example", {.certificate_name = ".bank.example"}},
      {".name, end of another label", ".bank.example", {.certificate_name = "evilbank.example"}},
      {"listed name with something behind it",
       "mx.bank.example.net",
       {.certificate_name = "mx.bank.example"}},
      {"a name as long as a digest", kListed, {.certificate_name = kListed}},
      {"a wildcard is no name of ours", "mx.bank.example", {.certificate_name = "*.bank.example"}},
  };
  for (const auto& [what, listed, session] : rows) {
    INFO(what);
    CHECK(judged(listed, session) == Reason::InboundCertificate);
  }
}

TEST_CASE("inbound verify: who is never told digests leaves the decision to who is",
          "[core][verdict][certificate]") {
  const std::string mixed = "mx.bank.example|" + kListed;
  struct {
    const char* what;
    std::string_view listed, name;
    Reason want;
  } const rows[] = {
      {"only digests listed: the policy service decides", kListed, "", Reason::NoRule},
      {"a digest among names: it could be that one", mixed, "mx.evil.example", Reason::NoRule},
      {"the listed name", mixed, "mx.bank.example", Reason::NoRule},
      {"only names listed, another shown", "mx.bank.example", "mx.evil.example",
       Reason::InboundCertificate},
      {"only names listed, none shown", "mx.bank.example", "", Reason::InboundCertificate},
      {"nothing listed", "", "mx.bank.example", Reason::InboundCertificate},
  };
  for (const auto& [what, listed, name, want] : rows) {
    INFO(what);
    CHECK(judged(listed, {.certificate_name = name, .digests_known = false}) == want);
  }
}

TEST_CASE("inbound verify: the refusal names the certificate that was shown",
          "[core][verdict][certificate]") {
  const FakeRuleStore store{{.key = "bank.example",
                             .inbound = InboundLevel::Verify,
                             .inbound_match = "mx.bank.example",
                             .on_failure = OnFailure::Reject}};
  const auto reply = [&](std::string_view name) {
    return smtp_reply(judge_sender(store, NextHopKey::parse("bank.example").value(),
                                   {.tls_version = "TLSv1.3", .certificate_name = name}, at(0)));
  };
  CHECK_THAT(reply("mx.evil.example"), StartsWith("550 5.7.5 "));
  CHECK_THAT(reply("mx.evil.example"), ContainsSubstring("not that of mx.evil.example"));
  CHECK_THAT(reply(""), ContainsSubstring("none was verified"));
}

}  // namespace forcetls
