// What becomes of a message at admission. The first rows of each table are the everyday cases.
#include "shared/core/verdict.h"

#include <string_view>

#include "tests/unit/catch.h"
#include "tests/unit/fakes/rule_store.h"
#include "tests/unit/shared/core/keys_and_levels.h"

namespace forcetls {
namespace {

constexpr std::string_view kStranger = "203.0.113.9";
constexpr std::string_view kColleague = "10.1.2.3";
constexpr SessionFacts kClear{.client_address = kStranger};
constexpr SessionFacts kTls{
    .client_address = kStranger, .tls_version = "TLSv1.3", .cipher_bits = 256};

/// A site with the trusted clients, own domains and transports of an ordinary relay.
FakeRuleStore site(std::initializer_list<FakeRule> rules) {
  FakeRuleStore store(rules);
  Settings& settings = store.mutable_settings();
  REQUIRE(settings.set("trusted_clients", "127.0.0.0/8 ::1 10.0.0.0/8"));
  REQUIRE(settings.set("own_domains", "ours.example .ours.example"));
  REQUIRE(settings.set("enforcing_transports", "smtp relay forcetls esmtp"));
  return store;
}

void check_no_opinion(const Verdict& verdict) {
  CHECK(verdict.action == Action::NoOpinion);
  CHECK(smtp_reply(verdict).empty());
}

}  // namespace

TEST_CASE("judge_sender: mail from a domain must arrive as its row says", "[core][verdict]") {
  const FakeRuleStore store =
      site({{.key = "may.example"},
            {.key = "tls.example", .inbound = InboundLevel::Encrypt},
            {.key = "strong.example",
             .min_protocol = Protocol::Tls13,
             .inbound = InboundLevel::Encrypt,
             .min_bits = 256},
            {.key = ".group.example", .inbound = InboundLevel::Encrypt},
            {.key = "trial.example", .mode = Mode::Test, .inbound = InboundLevel::Encrypt}});
  struct {
    const char* what;
    std::string_view sender;
    SessionFacts session;
    Action want;
    Reason why;
    std::string_view detail;
  } const rows[] = {
      {"no row, in clear", "other.example", kClear, Action::NoOpinion, Reason::NoRule, ""},
      {"row without inbound demand", "may.example", kClear, Action::NoOpinion, Reason::NoRule, ""},
      {"over TLS, as demanded", "tls.example", kTls, Action::NoOpinion, Reason::NoRule, ""},
      {"in clear", "tls.example", kClear, Action::Defer, Reason::InboundClear, ""},
      {"in clear, from an unknown client",
       "tls.example",
       {},
       Action::Defer,
       Reason::InboundClear,
       ""},
      {"in clear, but trusted",
       "tls.example",
       {.client_address = kColleague},
       Action::NoOpinion,
       Reason::Trusted,
       ""},
      {"in clear, sender in capitals", "TLS.Example.", kClear, Action::Defer, Reason::InboundClear,
       ""},
      {"sub-domain, in clear", "mail.group.example", kClear, Action::Defer, Reason::InboundClear,
       ""},
      {"the group's own name has no row", "group.example", kClear, Action::NoOpinion,
       Reason::NoRule, ""},
      {"row in test, in clear", "trial.example", kClear, Action::NoOpinion, Reason::NoRule, ""},
      {"just good enough",
       "strong.example",
       {kStranger, "TLSv1.3", 256},
       Action::NoOpinion,
       Reason::NoRule,
       ""},
      {"too old",
       "strong.example",
       {kStranger, "TLSv1.2", 256},
       Action::Defer,
       Reason::InboundProtocol,
       "TLSv1.2"},
      {"too old for the default",
       "tls.example",
       {kStranger, "TLSv1.1", 256},
       Action::Defer,
       Reason::InboundProtocol,
       "TLSv1.1"},
      {"older than TLS",
       "tls.example",
       {kStranger, "SSLv3", 128},
       Action::Defer,
       Reason::InboundProtocol,
       "SSLv3"},
      {"a version that nobody knows",
       "tls.example",
       {kStranger, "TLSv9", 256},
       Action::Defer,
       Reason::InboundProtocol,
       "TLSv9"},
      {"cipher too weak",
       "strong.example",
       {kStranger, "TLSv1.3", 128},
       Action::Defer,
       Reason::InboundBits,
       "128 bits"},
      {"cipher not told",
       "strong.example",
       {kStranger, "TLSv1.3", 0},
       Action::Defer,
       Reason::InboundBits,
       "0 bits"},
      {"both too old and too weak",
       "strong.example",
       {kStranger, "TLSv1.1", 56},
       Action::Defer,
       Reason::InboundProtocol,
       "TLSv1.1"},
      {"too weak, but trusted",
       "strong.example",
       {kColleague, "TLSv1.1", 56},
       Action::NoOpinion,
       Reason::Trusted,
       ""},
  };
  for (const auto& [what, sender, session, want, why, detail] : rows) {
    INFO(what);
    const Verdict verdict = judge_sender(store, key(sender), session, at(0));
    CHECK(verdict.action == want);
    CHECK(verdict.reason == why);
    CHECK(verdict.detail == detail);
  }
}

TEST_CASE("judge_sender: the null sender has no domain, so no rule", "[core][verdict]") {
  const FakeRuleStore store = site({{.key = ".", .inbound = InboundLevel::Encrypt},
                                    {.key = "", .inbound = InboundLevel::Encrypt}});
  check_no_opinion(judge_sender(store, domain_of_address("<>").value(), kClear, at(0)));
  check_no_opinion(judge_sender(store, domain_of_address("postmaster").value(), kClear, at(0)));
}

TEST_CASE("judge_sender: a suspension lowers the inbound demand while it lasts",
          "[core][verdict][suspension]") {
  FakeRuleStore store = site({{.key = "bank.example",
                               .inbound = InboundLevel::Verify,
                               .inbound_match = "mx.bank.example"}});
  store.suspend({"bank.example", Level::Encrypt, at(0), at(100)});
  store.suspend({"bank.example", Level::May, at(200), at(300)});
  const auto reason = [&](const SessionFacts& session, int now) {
    return judge_sender(store, key("bank.example"), session, at(now)).reason;
  };
  CHECK(reason(kTls, -1) == Reason::InboundCertificate);
  CHECK(reason(kTls, 0) == Reason::NoRule);
  CHECK(reason(kClear, 99) == Reason::InboundClear);
  CHECK(reason(kTls, 100) == Reason::InboundCertificate);
  CHECK(reason(kClear, 200) == Reason::NoRule);
  CHECK(reason(kClear, 300) == Reason::InboundClear);
}

TEST_CASE("judge_submission: mail for a forced domain does not come in clear from strangers",
          "[core][verdict]") {
  const FakeRuleStore store = site({{.key = "bank.example"},
                                    {.key = ".bank.example", .outbound = Level::Secure},
                                    {.key = "may.example", .outbound = Level::May},
                                    {.key = "none.example", .outbound = Level::None},
                                    {.key = "dane.example", .outbound = Level::Dane},
                                    {.key = "trial.example", .mode = Mode::Test},
                                    {.key = "ours.example"},
                                    {.key = "[192.0.2.1]"}});
  struct {
    const char* what;
    std::string_view recipient;
    SessionFacts session;
    Action want;
    Reason why;
  } const rows[] = {
      {"no row, in clear", "other.example", kClear, Action::NoOpinion, Reason::NoRule},
      {"forced, over TLS", "bank.example", kTls, Action::NoOpinion, Reason::NoRule},
      {"forced, over old TLS: it is not clear",
       "bank.example",
       {.client_address = kStranger, .tls_version = "TLSv1"},
       Action::NoOpinion,
       Reason::NoRule},
      {"forced, in clear", "bank.example", kClear, Action::Defer, Reason::ClearSubmission},
      {"forced, in clear, in capitals with a dot", "BANK.Example.", kClear, Action::Defer,
       Reason::ClearSubmission},
      {"forced, in clear, ideographic full stop", "bank\u3002example", kClear, Action::Defer,
       Reason::ClearSubmission},
      {"forced sub-domain, in clear", "mail.bank.example", kClear, Action::Defer,
       Reason::ClearSubmission},
      {"forced address literal, in clear", "[192.0.2.1]", kClear, Action::Defer,
       Reason::ClearSubmission},
      {"forced, in clear, client not told",
       "bank.example",
       {},
       Action::Defer,
       Reason::ClearSubmission},
      {"forced, in clear, client no address",
       "bank.example",
       {.client_address = "unknown"},
       Action::Defer,
       Reason::ClearSubmission},
      {"forced, in clear, trusted",
       "bank.example",
       {.client_address = kColleague},
       Action::NoOpinion,
       Reason::Trusted},
      {"forced, in clear, trusted IPv4 on an IPv6 socket",
       "bank.example",
       {.client_address = "::ffff:10.1.2.3"},
       Action::NoOpinion,
       Reason::Trusted},
      {"forced, in clear, stranger on an IPv6 socket",
       "bank.example",
       {.client_address = "::ffff:203.0.113.9"},
       Action::Defer,
       Reason::ClearSubmission},
      {"a domain that we receive for (RFC 3207 s4)", "ours.example", kClear, Action::NoOpinion,
       Reason::NoRule},
      {"level may", "may.example", kClear, Action::NoOpinion, Reason::NoRule},
      {"level none", "none.example", kClear, Action::NoOpinion, Reason::NoRule},
      {"level dane is not forced", "dane.example", kClear, Action::NoOpinion, Reason::NoRule},
      {"row in test", "trial.example", kClear, Action::NoOpinion, Reason::NoRule},
  };
  for (const auto& [what, recipient, session, want, why] : rows) {
    INFO(what);
    const Verdict verdict = judge_submission(store, key(recipient), session, at(0));
    CHECK(verdict.action == want);
    CHECK(verdict.reason == why);
  }
}

TEST_CASE("judge_submission: clear_submission=accept refuses nothing", "[core][verdict]") {
  FakeRuleStore store = site({{.key = "bank.example", .outbound = Level::Secure}});
  REQUIRE(store.mutable_settings().set("clear_submission", "accept"));
  check_no_opinion(judge_submission(store, key("bank.example"), kClear, at(0)));
}

TEST_CASE("on_failure=reject refuses for good, tempfail and reroute for now", "[core][verdict]") {
  const FakeRuleStore store = site(
      {{.key = "reject.example", .inbound = InboundLevel::Encrypt, .on_failure = OnFailure::Reject},
       {.key = "wait.example", .inbound = InboundLevel::Encrypt},
       {.key = "reroute.example",
        .inbound = InboundLevel::Encrypt,
        .on_failure = OnFailure::Reroute,
        .fallback = "smtp:[gateway.example]"}});
  struct {
    std::string_view domain;
    Action want;
    std::string_view reply_begins;
  } const rows[] = {
      {"reject.example", Action::Reject, "550 5.7.4 "},
      {"wait.example", Action::Defer, "451 4.7.4 "},
      {"reroute.example", Action::Defer, "451 4.7.4 "},
  };
  for (const auto& [domain, want, reply_begins] : rows) {
    INFO(domain);
    for (const Verdict& verdict : {judge_sender(store, key(domain), kClear, at(0)),
                                   judge_submission(store, key(domain), kClear, at(0))}) {
      CHECK(verdict.action == want);
      CHECK(verdict.subject == domain);
      CHECK(smtp_reply(verdict).starts_with(reply_begins));
    }
  }
}

TEST_CASE("is_forced_recipient: the level in force now decides", "[core][verdict]") {
  FakeRuleStore store = site({{.key = "bank.example", .outbound = Level::DaneOnly},
                              {.key = "dane.example", .outbound = Level::Dane},
                              {.key = "trial.example", .mode = Mode::Test}});
  store.suspend({"bank.example", Level::May, at(100), at(200)});
  CHECK(is_forced_recipient(store, key("bank.example"), at(99)));
  CHECK_FALSE(is_forced_recipient(store, key("bank.example"), at(100)));
  CHECK(is_forced_recipient(store, key("bank.example"), at(200)));
  CHECK_FALSE(is_forced_recipient(store, key("dane.example"), at(0)));
  CHECK_FALSE(is_forced_recipient(store, key("trial.example"), at(0)));
  CHECK_FALSE(is_forced_recipient(store, key("other.example"), at(0)));
  CHECK_FALSE(is_forced_recipient(store, NextHopKey{}, at(0)));
}

TEST_CASE("an empty policy has no opinion of anything", "[core][verdict]") {
  const FakeRuleStore empty = site({});
  check_no_opinion(judge_sender(empty, key("bank.example"), kClear, at(0)));
  check_no_opinion(judge_submission(empty, key("bank.example"), kClear, at(0)));
  check_no_opinion(judge_route(empty, key("bank.example"), {"smtp-clear", "[r.example]"}, at(0)));
  check_no_opinion(judge_tls_required_no(empty, key("bank.example"), true, at(0)));
}

}  // namespace forcetls
