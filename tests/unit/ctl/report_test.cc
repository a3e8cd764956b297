#include "ctl/report.h"

#include <nlohmann/json.hpp>

#include "ctl/command.h"
#include "tests/unit/catch.h"
#include "tests/unit/fakes/rule_store.h"

using namespace forcetls;

namespace {

FakeRuleStore partners() {
  FakeRuleStore store{
      {.key = "bank.example", .outbound = Level::Secure, .inbound = InboundLevel::Encrypt},
      {.key = ".bank.example", .outbound = Level::May},
      {.key = "[relay.example]:587", .outbound = Level::Verify},
      {.key = "trial.example", .mode = Mode::Test, .outbound = Level::Secure},
      {.key = "broken.example", .outbound = Level::Secure},
  };
  store.suspend({.key = "broken.example", .level = Level::Encrypt});
  return store;
}

}  // namespace

TEST_CASE("check: the row, the answer and whether it is forced", "[ctl]") {
  const FakeRuleStore store = partners();
  struct Row {
    const char* asked;
    const char* row;
    const char* level;
    bool forced;
  };
  const Row rows[] = {
      {"bank.example", "bank.example", "secure", true},
      {"someone@BANK.example.", "bank.example", "secure", true},
      {"mx.bank.example", ".bank.example", "may", false},
      {"[relay.example]:587", "[relay.example]:587", "verify", true},
      {"broken.example", "broken.example", "encrypt", true},
  };
  for (const Row& row : rows) {
    CAPTURE(row.asked);
    const auto report = make_report(store, row.asked, at(0));
    REQUIRE(report);
    CHECK(report->row == row.row);
    CHECK(to_text(*report->level) == row.level);
    CHECK(report->forced == row.forced);
    CHECK(report->map == "tls");
  }
}

TEST_CASE("check: without a deciding row Postfix gets no answer, or the settings'", "[ctl]") {
  FakeRuleStore store = partners();
  for (const char* asked : {"other.example", "trial.example", "[relay.example]", "private/lmtp"}) {
    const auto report = make_report(store, asked, at(0));
    REQUIRE(report);
    CHECK_FALSE(report->row);
    CHECK_FALSE(report->level);
    CHECK_FALSE(report->forced);
  }
  CHECK(make_report(store, "trial.example", at(0))->test_row == "trial.example");
  store.mutable_settings().default_outbound = DefaultOutbound::Encrypt;
  const auto report = make_report(store, "other.example", at(0));
  CHECK(report->map == "default");
  CHECK(report->forced);
}

TEST_CASE("check: what is no domain, address or next hop is an error", "[ctl]") {
  const FakeRuleStore store = partners();
  struct Row {
    const char* asked;
    int want;
  };
  const Row rows[] = {{"", EX_TEMPFAIL},
                      {"\xff.example", EX_TEMPFAIL},
                      {"[bank.example", EX_TEMPFAIL},
                      {"someone@", EX_DATAERR},
                      {"@", EX_DATAERR}};
  for (const Row& row : rows) {
    CAPTURE(row.asked);
    const auto report = make_report(store, row.asked, at(0));
    REQUIRE_FALSE(report);
    CHECK(exit_status_of(report.error().code) == row.want);
  }
}

TEST_CASE("check: without any row, a name that cannot be converted has no requirement either",
          "[ctl]") {
  FakeRuleStore store;
  const auto report = make_report(store, "someone@\xff.example", at(0));
  REQUIRE(report);
  CHECK_FALSE(report->level);
  CHECK(report->key.empty());
  store.mutable_settings().default_outbound = DefaultOutbound::Encrypt;
  CHECK_FALSE(make_report(store, "someone@\xff.example", at(0)));
}

TEST_CASE("check: the words name the row, the suspension and the answer", "[ctl]") {
  const FakeRuleStore store = partners();
  const std::string words = in_words(*make_report(store, "u@broken.example", at(0)));
  CHECK_THAT(words, ContainsSubstring("suspended to encrypt"));
  CHECK_THAT(words, ContainsSubstring("encrypt protocols="));
  CHECK_THAT(in_words(*make_report(store, "trial.example", at(0))),
             ContainsSubstring("does not count yet"));
}

TEST_CASE("check: the JSON is one object, also for strange input", "[ctl]") {
  const FakeRuleStore store = partners();
  const auto json = nlohmann::json::parse(in_json(*make_report(store, "bank.example", at(0))));
  CHECK(json["row"] == "bank.example");
  CHECK(json["level"] == "secure");
  CHECK(json["forced"] == true);
  CHECK(json["inbound"] == "encrypt");
  CHECK(json["suspended_to"].is_null());
  const auto odd = nlohmann::json::parse(in_json(*make_report(store, "x/\xff\"", at(0))));
  CHECK(odd["row"].is_null());
  CHECK(odd["map"].is_null());
}

TEST_CASE("check: what no name has in it is refused", "[ctl]") {
  const FakeRuleStore store = partners();
  for (const char* asked : {"bank example", "bank.example ", "bank.example\n", "bank\x7f.example",
                            "u@", "u@bank example", "u@bank.example\t"}) {
    INFO(asked);
    const auto report = make_report(store, asked, at(0));
    REQUIRE_FALSE(report);
    CHECK(report.error().code == ErrorCode::Malformed);
  }
  CHECK(make_report(store, "\"a b\"@bank.example", at(0)));
}

TEST_CASE("check: what Sendmail gets is said for whatever can stand in an address", "[ctl]") {
  const FakeRuleStore store = partners();
  struct Row {
    const char* asked;
    const char* want;
  };
  const Row rows[] = {
      {"broken.example", "OK TEMP+ENCR:128"},
      {"u@mx.bank.example", "OK NONE"},
      {"other.example", "OK NONE"},
      {"trial.example", "OK NONE"},
      {"bank.example", "TEMP Sendmail cannot keep level secure"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.asked);
    const auto report = make_report(store, row.asked, at(0));
    REQUIRE(report);
    CHECK_THAT(report->sendmail, StartsWith(row.want));
    CHECK_THAT(in_words(*report), ContainsSubstring("Sendmail gets  " + report->sendmail));
    CHECK(nlohmann::json::parse(in_json(*report))["sendmail"] == report->sendmail);
  }
  for (const char* asked : {"[relay.example]:587", "private/lmtp"}) {
    const auto report = make_report(store, asked, at(0));
    REQUIRE(report);
    CHECK(nlohmann::json::parse(in_json(*report))["sendmail"].is_null());
    CHECK_THAT(in_words(*report), !ContainsSubstring("Sendmail"));
  }
}
