// The rules at MAIL and RCPT, as the client sees them.
#include "tests/unit/milter/session_fixture.h"

namespace forcetls {
namespace {

FakeRuleStore rules() {
  return {
      {.key = "bank.example", .inbound = InboundLevel::Encrypt},
      {.key = ".bank.example", .outbound = Level::Secure},
      {.key = "strict.example", .inbound = InboundLevel::Encrypt, .on_failure = OnFailure::Reject},
      {.key = "new.example", .min_protocol = Protocol::Tls13, .inbound = InboundLevel::Encrypt},
      {.key = "bits.example", .inbound = InboundLevel::Encrypt, .min_bits = 256},
      {.key = "cert.example",
       .outbound = Level::May,
       .inbound = InboundLevel::Verify,
       .inbound_match = "mail.cert.example"},
      {.key = "xn--bnk-qla.example"},
      {.key = "xn--strae-oqa.example"},
      {.key = "masse.example"},
      {.key = "open.example", .outbound = Level::May},
      {.key = "tried.example", .mode = Mode::Test, .inbound = InboundLevel::Encrypt},
      {.key = "[relay.example]:587"},
      {.key = "weak.example", .outbound = Level::May}};
}

const FakeMacros kOldTls = kClear.with({{"{tls_version}", "TLSv1.1"}, {"{cipher_bits}", "128"}});
const FakeMacros kTls12 = kClear.with({{"{tls_version}", "TLSv1.2"}, {"{cipher_bits}", "128"}});
const FakeMacros kCertificate = kTls.with({{"{cert_subject}", "mail.cert.example"}});
const FakeMacros kSendmail =
    kTls.with({{"v", "8.17.1.9"}, {"{cert_subject}", "/C=DE/O=Bank/CN=mail.cert.example"}});

}  // namespace

TEST_CASE("mail: the inbound rule of the sender's domain", "[milter][session]") {
  struct Row {
    std::string what;
    std::string sender;
    FakeMacros macros;
    std::string want;  ///< how the reply begins; empty: go on
  };
  const Row rows[] = {
      {"clear", "<u@bank.example>", kClear, "451 4.7.4 mail from bank.example"},
      {"clear, reject", "<u@strict.example>", kClear, "550 5.7.4"},
      {"clear, sub-domain has only an outbound rule", "<u@a.bank.example>", kClear, ""},
      {"clear, no brackets", "u@bank.example", kClear, "451 4.7.4"},
      {"clear, upper case and trailing dot", "<u@BANK.Example.>", kClear, "451 4.7.4"},
      {"clear, a name before the brackets", "Name<u@bank.example>", kClear, "451 4.7.4"},
      {"clear, source route", "<@a.example:u@bank.example>", kClear, "451 4.7.4"},
      {"clear, the MTA rewrote the address", "<u%bank.example@ours>",
       kClear.with({{"{mail_addr}", "u@bank.example"}}), "451 4.7.4"},
      {"clear, a comment in the address", "<u@bank.example(x)>", kClear, "451 4.7.0"},
      {"clear, cannot be converted", "<u@\xff.example>", kClear, "451 4.7.0"},
      {"TLS too old", "<u@new.example>", kTls12, "451 4.7.6"},
      {"TLS too old for the default", "<u@bank.example>", kOldTls, "451 4.7.6"},
      {"bits too few", "<u@bits.example>", kTls12, "451 4.7.6"},
      {"bits unknown", "<u@bits.example>", kClear.with({{"{tls_version}", "TLSv1.3"}}),
       "451 4.7.6"},
      {"bits no number", "<u@bits.example>", kTls.with({{"{cipher_bits}", "many"}}), "451 4.7.6"},
      {"no certificate", "<u@cert.example>", kTls, "451 4.7.5"},
      {"another's certificate", "<u@cert.example>", kTls.with({{"{cert_subject}", "mail.example"}}),
       "451 4.7.5"},
      {"Sendmail did not verify it", "<u@cert.example>", kSendmail.with({{"{verify}", "FAIL"}}),
       "451 4.7.5"},
      {"Sendmail says nothing of verifying", "<u@cert.example>", kSendmail, "451 4.7.5"},
      {"an MTA that does not say what it is", "<u@cert.example>", kCertificate.with({{"v", ""}}),
       "451 4.7.5"},
      {"over TLS", "<u@bank.example>", kTls, ""},
      {"agreed certificate", "<u@cert.example>", kCertificate, ""},
      {"agreed certificate, Sendmail", "<u@cert.example>", kSendmail.with({{"{verify}", "OK"}}),
       ""},
      {"null sender", "<>", kClear, ""},
      {"null sender without brackets", "", kClear, ""},
      {"no domain", "<root>", kClear, ""},
      {"no row", "<u@free.example>", kClear, ""},
      {"row in mode test", "<u@tried.example>", kClear, ""}};
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Trial trial(rules());
    const std::string reply = trial.mail(row.sender, row.macros);
    if (row.want.empty()) {
      CHECK(reply.empty());
    } else {
      CHECK_THAT(reply, StartsWith(row.want));
      CHECK_THAT(trial.last_line(), StartsWith("NOQUEUE: refused sender: from="));
    }
  }
}

TEST_CASE("mail: trusted clients are exempt, told by the connection or by a macro",
          "[milter][session]") {
  CHECK(Trial(rules(), "10.1.2.3").mail("<u@bank.example>", kClear).empty());
  CHECK(Trial(rules(), "")
            .mail("<u@bank.example>", kClear.with({{"{client_addr}", "10.1.2.3"}}))
            .empty());
  CHECK_FALSE(Trial(rules(), "").mail("<u@bank.example>", kClear).empty());
  // What the connection says wins.
  CHECK_FALSE(Trial(rules(), "192.0.2.1")
                  .mail("<u@bank.example>", kClear.with({{"{client_addr}", "10.1.2.3"}}))
                  .empty());
}

TEST_CASE("rcpt: clear submission", "[milter][session]") {
  struct Row {
    std::string what;
    std::string recipient;
    FakeMacros macros;
    std::string want;
  };
  const Row rows[] = {
      {"forced", "<u@bank.example>", to(kClear, "bank.example"), "451 4.7.4 mail for bank.example"},
      {"forced, reject", "<u@strict.example>", to(kClear, "strict.example"), "550 5.7.4"},
      {"forced by the parent", "<u@a.b.bank.example>", to(kClear, "a.b.bank.example"), "451 4.7.4"},
      {"no {rcpt_addr}", "<u@bank.example>", kClear, "451 4.7.4"},
      {"no {rcpt_addr}, no brackets", "u@BANK.EXAMPLE.", kClear, "451 4.7.4"},
      {"no {rcpt_addr}, a comment", "<u@bank.example(x)>", kClear, "451 4.7.0"},
      {"no {rcpt_addr}, a comment with blanks", "<u@bank.example (x)>", kClear, "451 4.7.0"},
      {"no {rcpt_addr}, text after the brackets", "<u@bank.example>x", kClear, "451 4.7.0"},
      {"no {rcpt_addr}, U-label", "<u@b\u00e4nk.example>", kClear, "451 4.7.4"},
      {"{rcpt_addr} without domain: as typed", "<u@bank.example>",
       kClear.with({{"{rcpt_addr}", "u"}}), "451 4.7.4"},
      {"percent hack, undone by the MTA", "<u%bank.example@ours.example>",
       to(kClear, "bank.example"), "451 4.7.4"},
      {"quoted local part with an at", "<\"a@free.example\"@bank.example>", kClear, "451 4.7.4"},
      {"U-label in {rcpt_addr}", "<u@x>", to(kClear, "B\u00c4NK.example"), "451 4.7.4"},
      {"sharp s, folded in {rcpt_addr}", "<u@stra\u00dfe.example>", to(kClear, "strasse.example"),
       "451 4.7.4"},
      {"sharp s where only the folded name is forced", "<u@ma\u00dfe.example>",
       to(kClear, "masse.example"), ""},
      {"forced by the folded name", "<u@MASSE.example>", to(kClear, "masse.example"), "451 4.7.4"},
      {"cannot be converted", "<u@x>", to(kClear, "\xf0\x9f\x98\x80\xff.example"), "451 4.7.0"},
      {"not forced", "<u@open.example>", to(kClear, "open.example"), ""},
      {"no row", "<u@free.example>", to(kClear, "free.example"), ""},
      {"row in mode test", "<u@tried.example>", to(kClear, "tried.example"), ""},
      {"over TLS", "<u@bank.example>", to(kTls, "bank.example"), ""},
      {"no domain at all", "<postmaster>", kClear, ""}};
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Trial trial(rules());
    REQUIRE(trial.mail("<u@free.example>", kClear).empty());
    const std::string reply = trial.rcpt(row.recipient, row.macros);
    if (row.want.empty()) {
      CHECK(reply.empty());
    } else {
      CHECK_THAT(reply, StartsWith(row.want));
      CHECK_THAT(trial.last_line(), StartsWith("NOQUEUE: refused recipient: to="));
    }
  }
}

TEST_CASE("rcpt: the route must not go round the enforcement", "[milter][session]") {
  struct Row {
    std::string what;
    std::string mailer;
    std::string host;
    std::string want;
  };
  const Row rows[] = {
      {"unknown transport", "uucp", "bank.example", "451 4.7.1 TLS is required for bank.example"},
      {"pipe", "procmail", "", "451 4.7.1"},
      {"relay without a row", "smtp", "[mx.isp.example]:25", "451 4.7.1"},
      {"relay, bare name", "relay", "isp.example", "451 4.7.1"},
      {"relay with a weak row", "smtp", "weak.example", "451 4.7.1"},
      {"Sendmail, trailing dot", "esmtp", "isp.example.", "451 4.7.1"},
      {"next hop that cannot be converted", "smtp", "\xff.example", "451 4.7.0"},
      {"own MX", "smtp", "bank.example", ""},
      {"own MX, case as typed", "smtp", "Bank.Example", ""},
      {"own MX, Sendmail", "esmtp", "bank.example.", ""},
      {"relay with a strong row", "relay", "[RELAY.example]:587", ""},
      {"delivered here", "local", "ours.example", ""},
      {"delivered here by lmtp", "lmtp", "private/dovecot", ""},
      {"the MTA does not say", "", "", ""}};
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Trial trial(rules());
    trial.mail("<u@free.example>", kTls);
    const std::string reply =
        trial.rcpt("<u@bank.example>", kTls.with({{"{rcpt_addr}", "u@bank.example"},
                                                  {"{rcpt_mailer}", row.mailer},
                                                  {"{rcpt_host}", row.host}}));
    CHECK_THAT(reply, StartsWith(row.want));
    CHECK(reply.empty() == row.want.empty());
  }
}

TEST_CASE("rcpt: behind Sendmail only the mailer counts, since it asks for the recipient's domain",
          "[milter][session]") {
  struct Row {
    const char *mailer, *host;
    bool taken;
  };
  const Row rows[] = {{"relay", "isp.example.", true},  {"esmtp", "[192.0.2.1]", true},
                      {"esmtp", "bank.example.", true}, {"local", "root", true},
                      {"uucp", "bank.example.", false}, {"procmail", "x", false}};
  for (const Row& row : rows) {
    CAPTURE(row.mailer, row.host);
    Trial trial(rules());
    const auto macros = kTls.with({{"v", "8.18.1"}});
    trial.mail("<u@free.example>", macros);
    const std::string reply =
        trial.rcpt("<u@bank.example>", macros.with({{"{rcpt_addr}", "u@bank.example"},
                                                    {"{rcpt_mailer}", row.mailer},
                                                    {"{rcpt_host}", row.host}}));
    CHECK(reply.empty() == row.taken);
  }
}

TEST_CASE("rcpt: a route is checked for trusted clients too, and only for forced domains",
          "[milter][session]") {
  Trial trial(rules(), "10.1.2.3");
  trial.mail("<u@free.example>", kClear);
  CHECK_THAT(
      trial.rcpt("<u@bank.example>", to(kClear, "bank.example").with({{"{rcpt_mailer}", "uucp"}})),
      StartsWith("451 4.7.1"));
  CHECK(trial.rcpt("<u@free.example>", to(kClear, "free.example").with({{"{rcpt_mailer}", "uucp"}}))
            .empty());
  CHECK(trial.rcpt("<u@open.example>", to(kClear, "open.example").with({{"{rcpt_mailer}", "uucp"}}))
            .empty());
}

TEST_CASE("rcpt: that the MTA sends no route is said once, and only where it matters",
          "[milter][session]") {
  Trial trial(rules());
  trial.mail("<u@free.example>", kTls);
  trial.rcpt("<u@free.example>", kTls);
  CHECK_FALSE(trial.sink.has("milter_rcpt_macros"));
  trial.rcpt("<u@bank.example>", kTls);
  trial.rcpt("<v@bank.example>", kTls);
  CHECK(trial.sink.count("milter_rcpt_macros") == 1);
}

TEST_CASE("rcpt: recipients are judged each for itself", "[milter][session]") {
  Trial trial(rules());
  trial.mail("<u@free.example>", kClear);
  CHECK_FALSE(trial.rcpt("<u@bank.example>", to(kClear, "bank.example")).empty());
  CHECK(trial.rcpt("<u@free.example>", to(kClear, "free.example")).empty());
  CHECK_FALSE(trial.rcpt("<u@strict.example>", to(kClear, "strict.example")).empty());
  CHECK(trial.rcpt("<v@free.example>", to(kClear, "free.example")).empty());
  CHECK(trial.eom(kClear.with({{"i", "4bXyz"}})).empty());
  CHECK(trial.last_line() ==
        "4bXyz: message: from=free.example client=192.0.2.1 tls=none bits=0 recipients=4 forced=2 "
        "deferred=1 rejected=1 verdict=continue reason=clear-submission");
}

TEST_CASE("own domains are never held to clear submission", "[milter][session]") {
  Trial trial(rules());
  trial.policy->mutable_settings().set("own_domains", "bank.example");
  trial.mail("<u@free.example>", kClear);
  CHECK(
      trial.rcpt("<u@bank.example>", to(kClear, "bank.example").with({{"{rcpt_mailer}", "local"}}))
          .empty());
}

}  // namespace forcetls
