// TLS-Required: no, from the header's spelling to the message's fate.
#include "milter/tls_required_header.h"
#include "tests/unit/milter/session_fixture.h"

namespace forcetls {

TEST_CASE("is_tls_required_no: what Postfix 3.10 obeys, and nothing else", "[milter][header]") {
  struct Row {
    std::string name;
    std::string value;
    bool want;
  };
  const Row rows[] = {{"TLS-Required", "no", true},
                      {"tls-required", "NO", true},
                      {"TLS-REQUIRED", "No", true},
                      {"TLS-Required ", "no", true},
                      {"TLS-Required\t", " no ", true},
                      {"TLS-Required", "\r\n no", true},
                      {"TLS-Required", "\n\tno\n ", true},
                      {"TLS-Required", "", false},
                      {"TLS-Required", "n", false},
                      {"TLS-Required", "yes", false},
                      {"TLS-Required", "none", false},
                      {"TLS-Required", "no.", false},
                      {"TLS-Required", "no, no", false},
                      {"TLS-Required", "n o", false},
                      {"TLS-Required", "n\no", false},
                      {"TLS-Required", "no (comment)", false},
                      {"TLS-Required", "(comment) no", false},
                      {"TLS-Required", "\"no\"", false},
                      {"TLS-Required", "\xc2\xa0no", false},
                      {"X-TLS-Required", "no", false},
                      {"TLS-Required-X", "no", false},
                      {"TLSRequired", "no", false},
                      {"TLS -Required", "no", false},
                      {"", "no", false},
                      {"Subject", "TLS-Required: no", false}};
  for (const Row& row : rows) {
    CAPTURE(row.name, row.value);
    CHECK(is_tls_required_no(row.name, row.value) == row.want);
  }
}

TEST_CASE("end of message: TLS-Required: no with a forced recipient", "[milter][session]") {
  struct Row {
    std::string what;
    std::string setting;
    FakeMacros session;
    std::string want;
  };
  const Row rows[] = {
      {"auto, Postfix obeys it", "auto", kTls310, "550 5.7.1"},
      {"auto, a version that cannot be read", "auto", kTls.with({{"v", "Postfix"}}), "550 5.7.1"},
      {"auto, unknown MTA", "auto", kTls.with({{"v", ""}}), "550 5.7.1"},
      {"auto, Postfix 3.9 does not", "auto", kTls.with({{"v", "Postfix 3.9.1"}}), ""},
      {"auto, Sendmail does not", "auto", kTls.with({{"v", "8.18.1"}}), ""},
      {"reject, whatever the MTA does", "reject", kTls, "550 5.7.1"},
      {"tempfail, whatever the MTA does", "tempfail", kTls, "451 4.7.1"},
      {"ignore", "ignore", kTls310, ""},
      {"local, auto", "auto", kLocal310, "550 5.7.1"},
      {"local, auto, Postfix 3.7", "auto", kLocal, ""},
      {"local, reject", "reject", kLocal, "550 5.7.1"},
      {"local, tempfail: never a tempfail", "tempfail", kLocal310, "550 5.7.1"},
      {"local, tempfail, harmless", "tempfail", kLocal, ""},
      {"local, ignore", "ignore", kLocal310, ""}};
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const bool local = row.session.find("i") == "4local";
    Trial trial({{.key = "bank.example"}}, local ? "127.0.0.1" : "192.0.2.1");
    REQUIRE(trial.policy->mutable_settings().set("tls_required_header", row.setting));
    trial.mail(local ? "u@free.example" : "<u@free.example>", row.session);
    trial.rcpt("<u@free.example>", to(row.session, "free.example"));
    CHECK(trial.rcpt("<u@bank.example>", to(row.session, "bank.example")).empty());
    trial.session.header("TLS-Required", "yes");
    trial.session.header("TLS-Required", "no");
    trial.session.header("Subject", "x");
    const std::string reply = trial.eom(row.session);
    CHECK_THAT(reply, StartsWith(row.want));
    CHECK(reply.empty() == row.want.empty());
  }
}

TEST_CASE("end of message: the header is nobody's business without a forced recipient",
          "[milter][session]") {
  Trial trial({{.key = "bank.example"}, {.key = "tried.example", .mode = Mode::Test}});
  trial.mail("<u@free.example>", kTls310);
  trial.rcpt("<u@free.example>", to(kTls310, "free.example"));
  trial.rcpt("<u@tried.example>", to(kTls310, "tried.example"));
  // Refused, so the message will not go there.
  CHECK_FALSE(
      trial.rcpt("<u@bank.example>", to(kTls310, "bank.example").with({{"{rcpt_mailer}", "uucp"}}))
          .empty());
  trial.session.header("TLS-Required", "no");
  CHECK(trial.eom(kTls310).empty());
}

TEST_CASE("end of message: what cannot be known is refused, where the MTA would obey the header",
          "[milter][session]") {
  for (const bool readable : {true, false}) {
    CAPTURE(readable);
    Trial trial({{.key = "bank.example"}}, "127.0.0.1");
    trial.readable = readable;
    trial.mail("u@free.example", kLocal310);
    trial.rcpt("u@\xff.example", kLocal310);
    trial.session.header("TLS-Required", "no");
    CHECK_THAT(trial.eom(kLocal310), StartsWith("550 5.7.0"));
  }
}

TEST_CASE("memory does not grow with the recipients", "[milter][session]") {
  Trial trial({{.key = "bank.example"}});
  trial.mail("<u@free.example>", kTls310);
  for (int i = 0; i < 10000; ++i) trial.rcpt("<u@bank.example>", to(kTls310, "bank.example"));
  trial.session.header("TLS-Required", "no");
  CHECK_THAT(trial.eom(kTls310), ContainsSubstring("bank.example"));
  CHECK_THAT(trial.last_line(), ContainsSubstring("recipients=10000 forced=10000"));
}

}  // namespace forcetls
