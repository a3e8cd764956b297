// Sessions that do not go as the book says: late macros, several messages, no policy, local mail.
#include "tests/unit/milter/session_fixture.h"

namespace forcetls {
namespace {

FakeRuleStore enforced_and_tried() {
  return {{.key = "bank.example", .inbound = InboundLevel::Encrypt},
          {.key = "tried.example", .mode = Mode::Test, .inbound = InboundLevel::Encrypt}};
}

constexpr const char* kUnconvertible = "<u@\xff.example>";

}  // namespace

TEST_CASE("no policy since the start: every recipient waits, MAIL goes on", "[milter][session]") {
  Trial trial(enforced_and_tried());
  trial.readable = false;
  CHECK(trial.mail("<u@bank.example>", kClear).empty());
  CHECK_THAT(trial.rcpt("<u@free.example>", to(kTls, "free.example")), StartsWith("451 4.7.0"));
  CHECK_THAT(trial.rcpt(kUnconvertible, kTls), StartsWith("451 4.7.0"));
  CHECK(trial.sink.count("reason=policy-unavailable") == 2);
}

TEST_CASE("a policy that comes between MAIL and RCPT judges the sender too", "[milter][session]") {
  Trial trial(enforced_and_tried());
  trial.readable = false;
  CHECK(trial.mail("<u@bank.example>", kClear).empty());
  trial.readable = true;
  CHECK_THAT(trial.rcpt("<u@free.example>", to(kClear, "free.example")),
             StartsWith("451 4.7.4 mail from bank.example"));
  CHECK_THAT(trial.rcpt("<v@free.example>", to(kClear, "free.example")),
             StartsWith("451 4.7.4 mail from bank.example"));
}

TEST_CASE("with nothing but rows in mode test no message's fate changes", "[milter][session]") {
  Trial trial({{.key = "tried.example", .mode = Mode::Test, .inbound = InboundLevel::Encrypt}});
  CHECK(trial.mail(kUnconvertible, kClear).empty());
  CHECK(trial.rcpt(kUnconvertible, kClear).empty());
  CHECK(trial.rcpt("<u@tried.example>", to(kClear, "tried.example")).empty());
  trial.session.header("TLS-Required", "no");
  CHECK(trial.eom(kTls310).empty());
  CHECK(trial.sink.count(" would=") == 1);
}

TEST_CASE("with an empty policy no message's fate changes", "[milter][session]") {
  Trial trial(FakeRuleStore{});
  CHECK(trial.mail(kUnconvertible, kClear).empty());
  CHECK(trial.rcpt(kUnconvertible, kClear).empty());
  CHECK(trial.rcpt("<u@bank.example (x)>", kClear).empty());
  CHECK(trial.rcpt("<u@bank.example>", to(kClear, "bank.example").with({{"{rcpt_mailer}", "x"}}))
            .empty());
  trial.session.header("TLS-Required", "no");
  CHECK(trial.eom(kTls310).empty());
  CHECK(trial.sink.count("verdict=continue") == 1);
  CHECK(trial.sink.lines().size() == 1);
}

TEST_CASE("TLS that is told late counts", "[milter][session]") {
  SECTION("only at RCPT") {
    Trial trial(enforced_and_tried());
    CHECK(trial.mail("<u@free.example>", kClear).empty());
    CHECK(trial.rcpt("<u@bank.example>", to(kTls, "bank.example")).empty());
  }
  SECTION("only at MAIL") {
    Trial trial(enforced_and_tried());
    CHECK(trial.mail("<u@bank.example>", kTls).empty());
    CHECK(trial.rcpt("<u@bank.example>", to(kClear, "bank.example")).empty());
  }
  SECTION("but not beyond its message") {
    Trial trial(enforced_and_tried());
    trial.mail("<u@free.example>", kTls);
    trial.eom(kTls);
    CHECK_FALSE(trial.mail("<u@bank.example>", kClear).empty());
  }
}

TEST_CASE("the queue id is taken whenever it comes", "[milter][session]") {
  Trial trial(enforced_and_tried());
  trial.mail("<u@free.example>", kClear);
  trial.rcpt("<u@bank.example>", to(kClear, "bank.example"));
  CHECK_THAT(trial.last_line(), StartsWith("NOQUEUE: refused recipient:"));
  trial.rcpt("<u@bank.example>", to(kClear, "bank.example").with({{"i", "4bXyz"}}));
  CHECK_THAT(trial.last_line(), StartsWith("4bXyz: refused recipient: to=bank.example"));
  trial.eom(kClear);
  CHECK_THAT(trial.last_line(), StartsWith("4bXyz: message:"));
  trial.mail("<u@free.example>", kClear);
  trial.eom(kClear);
  CHECK_THAT(trial.last_line(), StartsWith("NOQUEUE: message:"));
}

TEST_CASE("several messages in one session do not know of each other", "[milter][session]") {
  Trial trial(enforced_and_tried());
  CHECK_FALSE(trial.mail("<u@bank.example>", kClear).empty());
  CHECK(trial.mail("<u@free.example>", kTls310).empty());
  CHECK(trial.rcpt("<u@bank.example>", to(kTls310, "bank.example")).empty());
  trial.session.header("TLS-Required", "no");
  CHECK_FALSE(trial.eom(kTls310).empty());
  CHECK(trial.mail("<u@free.example>", kTls310).empty());
  CHECK(trial.rcpt("<u@bank.example>", to(kTls310, "bank.example")).empty());
  CHECK(trial.eom(kTls310).empty());
  CHECK_THAT(trial.last_line(),
             ContainsSubstring("recipients=1 forced=1 deferred=0 rejected=0 verdict=continue "
                               "reason=none"));
}

TEST_CASE("abort: a line if something was refused, once", "[milter][session]") {
  Trial trial(enforced_and_tried());
  trial.session.abort();
  trial.mail("<u@free.example>", kClear);
  trial.session.abort();
  CHECK(trial.sink.lines().empty());
  trial.mail("<u@free.example>", kClear);
  trial.rcpt("<u@bank.example>", to(kClear, "bank.example"));
  trial.session.abort();
  trial.session.abort();
  CHECK(trial.sink.count("deferred=1 rejected=0 verdict=aborted reason=clear-submission") == 1);
  // A refused MAIL has had its line.
  trial.mail("<u@bank.example>", kClear);
  trial.session.abort();
  CHECK(trial.sink.count("verdict=aborted") == 1);
}

TEST_CASE("a header after an abort belongs to no message", "[milter][session]") {
  Trial trial(enforced_and_tried());
  trial.mail("<u@free.example>", kTls310);
  trial.rcpt("<u@bank.example>", to(kTls310, "bank.example"));
  trial.session.header("TLS-Required", "no");
  trial.session.abort();
  trial.mail("<u@free.example>", kTls310);
  trial.rcpt("<u@bank.example>", to(kTls310, "bank.example"));
  CHECK(trial.eom(kTls310).empty());
}

TEST_CASE("local mail is never refused at MAIL or RCPT", "[milter][session]") {
  const FakeMacros none;
  for (const bool readable : {true, false}) {
    for (const char* client : {"127.0.0.1", "::1"}) {
      CAPTURE(readable, client);
      Trial trial(enforced_and_tried(), client);
      trial.policy->mutable_settings().set("trusted_clients", "");
      trial.readable = readable;
      CHECK(trial.mail("u@bank.example", kLocal).empty());
      CHECK(trial.rcpt("u@bank.example", kLocal.with({{"{rcpt_addr}", "u@bank.example"}})).empty());
      CHECK(trial.rcpt("u@\xff.example", kLocal).empty());
      CHECK(trial.rcpt("u@bank.example (x)", kLocal).empty());
      CHECK(trial.eom(kLocal).empty());
      CHECK(trial.sink.count("4local: message: from=bank.example client=local") == 1);
      CHECK_FALSE(trial.sink.has("refused"));
      CHECK_FALSE(trial.sink.has("milter_rcpt_macros"));
    }
  }
}

TEST_CASE("no SMTP client passes for local mail", "[milter][session]") {
  struct Row {
    std::string what;
    std::string client;
    std::string sender;
    FakeMacros macros;
  };
  const Row rows[] = {
      {"no brackets", "192.0.2.1", "u@bank.example", kClear},
      {"no brackets, queue id known", "192.0.2.1", "u@bank.example", kClear.with({{"i", "4b"}})},
      {"as cleanup would, but from afar", "192.0.2.1", "u@bank.example", kLocal},
      {"from loopback", "127.0.0.1", "u@bank.example", kClear},
      {"from loopback, queue id known", "127.0.0.1", "u@bank.example", kClear.with({{"i", "4b"}})},
      {"from loopback, the list of macros was not honoured", "127.0.0.1", "u@bank.example",
       FakeMacros{{{"v", "Postfix 3.7.11"}}}},
      {"from loopback, brackets", "127.0.0.1", "<u@bank.example>", kLocal},
      {"Sendmail", "127.0.0.1", "u@bank.example", kLocal.with({{"v", "8.17.1.9"}})},
      {"an MTA that does not say what it is", "127.0.0.1", "u@bank.example",
       FakeMacros{{{"i", "4b"}}}}};
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Trial trial(enforced_and_tried(), row.client);
    trial.policy->mutable_settings().set("trusted_clients", "");
    CHECK_FALSE(trial.mail(row.sender, row.macros).empty());
    CHECK_FALSE(trial.sink.has("client=local"));
  }
}

TEST_CASE("rows in mode test: what they would have done is in the message's line",
          "[milter][session]") {
  Trial trial(enforced_and_tried());
  CHECK(trial.mail("<u@tried.example>", kClear).empty());
  CHECK(trial.rcpt("<u@tried.example>", to(kClear, "tried.example")).empty());
  CHECK(trial.eom(kClear).empty());
  CHECK_THAT(trial.last_line(), ContainsSubstring("forced=0 deferred=0 rejected=0 verdict=continue "
                                                  "reason=none would=defer:inbound-clear "
                                                  "test_rule=tried.example"));
  trial.mail("<u@free.example>", kTls);
  trial.rcpt("<u@tried.example>", to(kTls, "tried.example"));
  trial.eom(kTls);
  CHECK_FALSE(trial.sink.lines().back().text.find("would=") != std::string::npos);
}

TEST_CASE("suspensions begin and end at RCPT by the clock", "[milter][session]") {
  Trial trial(enforced_and_tried());
  trial.policy->suspend(
      {.key = "bank.example", .level = Level::May, .starts_at = at(10), .ends_at = at(20)});
  trial.mail("<u@free.example>", kClear);
  const FakeMacros macros = to(kClear, "bank.example");
  CHECK_FALSE(trial.rcpt("<u@bank.example>", macros).empty());
  trial.clock.set(at(10));
  CHECK(trial.rcpt("<u@bank.example>", macros).empty());
  trial.clock.set(at(20));
  CHECK_FALSE(trial.rcpt("<u@bank.example>", macros).empty());
}

TEST_CASE("log lines: no local part, no fields of the sender's making", "[milter][session]") {
  Trial trial(enforced_and_tried());
  trial.mail("<secret@free.example verdict=x\n>", kTls);
  trial.rcpt("<hidden@bank.example reason=\"x\" y@z>", kTls);
  trial.eom(kTls.with({{"i", "4b\n4c: message:"}}));
  for (const auto& line : trial.sink.lines()) {
    CAPTURE(line.text);
    CHECK(line.text.find("secret") == std::string::npos);
    CHECK(line.text.find("hidden") == std::string::npos);
    CHECK(line.text.find(" verdict=x") == std::string::npos);
    CHECK(line.text.find(" reason=\"x\"") == std::string::npos);
    CHECK(line.text.find('\n') == std::string::npos);
  }
}

}  // namespace forcetls
