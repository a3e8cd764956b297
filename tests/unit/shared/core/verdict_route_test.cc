// Ways round the delivery layer that can be seen while a message is received: another transport,
// another next hop, a header.
#include <string_view>

#include "shared/core/verdict.h"
#include "tests/unit/catch.h"
#include "tests/unit/fakes/rule_store.h"
#include "tests/unit/shared/core/keys_and_levels.h"

namespace forcetls {
namespace {

FakeRuleStore site() {
  FakeRuleStore store{
      {.key = "bank.example", .outbound = Level::Secure, .on_failure = OnFailure::Reject},
      {.key = "tls.example"},
      {.key = ".tls.example"},
      {.key = "may.example", .outbound = Level::May},
      {.key = "trial.example", .mode = Mode::Test},
      {.key = "[gateway.example]", .outbound = Level::Secure},
      {.key = "[gateway.example]:587", .outbound = Level::Encrypt},
      {.key = "[pinned.example]", .outbound = Level::Fingerprint, .match = "AB"},
      {.key = "[verified.example]", .outbound = Level::Verify},
      {.key = "[old.example]", .outbound = Level::Encrypt, .min_protocol = Protocol::Tls10},
      {.key = "[clear.example]", .outbound = Level::May},
      {.key = "[trial.example]", .mode = Mode::Test, .outbound = Level::Secure},
      {.key = "isp.example", .outbound = Level::Encrypt},
      {.key = "ours.example", .outbound = Level::Encrypt},
      {.key = "lmtp.example:24", .outbound = Level::Secure},
      {.key = "weak.lan:24", .outbound = Level::Encrypt},
      {.key = "[broken.example]", .outbound = Level::Secure}};
  store.suspend({.key = "[broken.example]", .level = Level::May});
  REQUIRE(store.mutable_settings().set("enforcing_transports", "smtp relay forcetls esmtp"));
  REQUIRE(store.mutable_settings().set("own_domains", "ours.example"));
  return store;
}

struct Journey {
  const char* what;
  std::string_view recipient;
  Route route;
  Reason want;
  std::string_view detail = "";
};

}  // namespace

TEST_CASE("judge_route: a forced recipient's way is fine if it asks us and demands enough",
          "[core][verdict][route]") {
  const FakeRuleStore store = site();
  const Journey rows[] = {
      {"straight to the domain", "bank.example", {"smtp", "bank.example"}, Reason::NoRule},
      {"in capitals, with a dot", "bank.example", {"smtp", "BANK.Example."}, Reason::NoRule},
      {"our own transport", "bank.example", {"forcetls", "bank.example"}, Reason::NoRule},
      {"Sendmail's mailer", "tls.example", {"esmtp", "tls.example"}, Reason::NoRule},
      {"next hop not told", "bank.example", {"relay", ""}, Reason::NoRule},
      {"nothing told", "bank.example", {"", ""}, Reason::NoRule},
      {"a gateway as strict", "bank.example", {"smtp", "[gateway.example]"}, Reason::NoRule},
      {"a gateway known by digest", "bank.example", {"smtp", "[pinned.example]"}, Reason::NoRule},
      {"a stricter gateway", "tls.example", {"relay", "[gateway.example]"}, Reason::NoRule},
      {"a bare relay with a row", "tls.example", {"relay", "ISP.example"}, Reason::NoRule},
      {"a host below .tls.example", "tls.example", {"smtp", "mx.tls.example"}, Reason::NoRule},
      {"two gateways, both as strict",
       "bank.example",
       {"smtp", "[gateway.example], [pinned.example]"},
       Reason::NoRule},
      {"straight there, else a gateway",
       "bank.example",
       {"smtp", "bank.example [gateway.example]"},
       Reason::NoRule},
      {"delivered here", "bank.example", {"local", ""}, Reason::NoRule},
      {"delivered here by LMTP", "bank.example", {"lmtp", "private/dovecot"}, Reason::NoRule},
      {"so too, spelt in full", "bank.example", {"lmtp", "unix:private/dovecot"}, Reason::NoRule},
      {"so too, on loopback", "bank.example", {"lmtp", "inet:127.0.0.1:24"}, Reason::NoRule},
      {"LMTP, next hop not told", "bank.example", {"lmtp", ""}, Reason::NoRule},
      {"LMTP to a host as strict",
       "bank.example",
       {"lmtp", "inet:Lmtp.example:24"},
       Reason::NoRule},
      {"LMTP to several",
       "bank.example",
       {"lmtp", "inet:127.0.0.1:24, lmtp.example:24"},
       Reason::NoRule},
      {"LMTP to a host, spelt short", "bank.example", {"lmtp", "lmtp.example:24"}, Reason::NoRule},
      {"our own mailboxes elsewhere", "ours.example", {"lmtp", "inet:mail.lan:24"}, Reason::NoRule},
      {"LMTP, not forced", "other.example", {"lmtp", "inet:mail.lan:24"}, Reason::NoRule},
      {"a program on this host", "bank.example", {"smtp", "[127.0.0.1]:10025"}, Reason::NoRule},
      {"so too, by IPv6", "bank.example", {"smtp", "[ipv6:::1]:10025"}, Reason::NoRule},
      {"bounced here", "bank.example", {"error", "no such user"}, Reason::NoRule},
      {"thrown away", "bank.example", {"discard", ""}, Reason::NoRule},
      {"not forced, clear transport", "other.example", {"smtp-clear", "x.example"}, Reason::NoRule},
      {"not forced, next hop without a row",
       "may.example",
       {"smtp", "[r.example]"},
       Reason::NoRule},
      {"not forced, next hop unreadable", "may.example", {"smtp", "["}, Reason::NoRule},
      {"row in test", "trial.example", {"smtp-clear", "[r.example]"}, Reason::NoRule},
  };
  for (const auto& [what, recipient, route, want, detail] : rows) {
    INFO(what);
    const Verdict verdict = judge_route(store, key(recipient), route, at(0));
    CHECK(verdict.action == Action::NoOpinion);
    CHECK(verdict.reason == want);
  }
}

TEST_CASE("judge_route: otherwise it waits, even where on_failure is reject: the host is at fault",
          "[core][verdict][route]") {
  const FakeRuleStore store = site();
  const Journey rows[] = {
      {"of two gateways the second is weaker",
       "bank.example",
       {"smtp", "[gateway.example], [clear.example]"},
       Reason::RouteNextHop,
       "[clear.example]"},
      {"a transport that does not ask",
       "bank.example",
       {"smtp-clear", "bank.example"},
       Reason::RouteTransport,
       "smtp-clear"},
      {"its name in capitals", "bank.example", {"SMTP", ""}, Reason::RouteTransport, "SMTP"},
      {"LMTP to a host without a row",
       "bank.example",
       {"lmtp", "inet:mail.lan:24"},
       Reason::RouteNextHop,
       "mail.lan:24"},
      {"LMTP to this host, else to another",
       "bank.example",
       {"lmtp", "inet:[127.0.0.1]:24, mail.lan:24"},
       Reason::RouteNextHop,
       "mail.lan:24"},
      {"LMTP to a host with a weaker row",
       "bank.example",
       {"lmtp", "inet:weak.lan:24"},
       Reason::RouteNextHop,
       "weak.lan:24"},
      {"LMTP to a sub-domain, since .parent rows do not count there",
       "mx.tls.example",
       {"lmtp", "mx.tls.example"},
       Reason::RouteNextHop,
       "mx.tls.example"},
      {"a pipe", "tls.example", {"uucp", "tls.example"}, Reason::RouteTransport, "uucp"},
      {"a relay without a row",
       "bank.example",
       {"relay", "[relay.example]:25"},
       Reason::RouteNextHop,
       "[relay.example]:25"},
      {"a bare relay without a row",
       "bank.example",
       {"relay", "relay.example"},
       Reason::RouteNextHop,
       "relay.example"},
      {"a relay whose row allows clear",
       "tls.example",
       {"smtp", "[clear.example]"},
       Reason::RouteNextHop,
       "[clear.example]"},
      {"a relay whose row is in test",
       "tls.example",
       {"smtp", "[trial.example]"},
       Reason::RouteNextHop,
       "[trial.example]"},
      {"a relay whose row is suspended",
       "bank.example",
       {"smtp", "[broken.example]"},
       Reason::RouteNextHop,
       "[broken.example]"},
      {"encrypted, but not proved",
       "bank.example",
       {"smtp", "[Gateway.Example]:587"},
       Reason::RouteNextHop,
       "[gateway.example]:587"},
      {"proved only by DNS",
       "bank.example",
       {"smtp", "[verified.example]"},
       Reason::RouteNextHop,
       "[verified.example]"},
      {"an older TLS",
       "tls.example",
       {"smtp", "[old.example]"},
       Reason::RouteNextHop,
       "[old.example]"},
      {"the domain's host in brackets has no row",
       "bank.example",
       {"smtp", "[bank.example]"},
       Reason::RouteNextHop,
       "[bank.example]"},
      {"a local path by an outbound transport",
       "bank.example",
       {"smtp", "private/x"},
       Reason::RouteNextHop,
       "private/x"},
      {"sub-domain row, relay without",
       "a.tls.example",
       {"relay", "[relay.example]"},
       Reason::RouteNextHop,
       "[relay.example]"},
      {"a next hop that cannot be looked up",
       "bank.example",
       {"smtp", "[\U0001F600.example]"},
       Reason::NameUnknown},
      {"a next hop without its bracket",
       "bank.example",
       {"smtp", "[gateway.example"},
       Reason::NameUnknown},
  };
  for (const auto& [what, recipient, route, want, detail] : rows) {
    INFO(what);
    const Verdict verdict = judge_route(store, key(recipient), route, at(0));
    CHECK(verdict.action == Action::Defer);
    CHECK(verdict.reason == want);
    CHECK(verdict.detail == detail);
  }
}

TEST_CASE("judge_route: unlisted_relay=encrypt is a requirement of the relay's own",
          "[core][verdict][route]") {
  FakeRuleStore store = site();
  REQUIRE(store.mutable_settings().set("unlisted_relay", "encrypt"));
  const auto reason = [&](std::string_view recipient, std::string_view next_hop) {
    return judge_route(store, key(recipient), {"relay", next_hop}, at(0)).reason;
  };
  CHECK(reason("tls.example", "[relay.example]:25") == Reason::NoRule);
  CHECK(reason("bank.example", "[relay.example]:25") == Reason::RouteNextHop);
  CHECK(reason("tls.example", "relay.example") == Reason::RouteNextHop);
  CHECK(reason("tls.example", "[clear.example]") == Reason::RouteNextHop);
}

TEST_CASE("judge_tls_required_no: the header with a forced recipient", "[core][verdict][header]") {
  FakeRuleStore store = site();
  struct {
    std::string_view setting;
    bool mta_obeys;
    Action want;
  } const rows[] = {
      {"auto", true, Action::Reject},      {"auto", false, Action::NoOpinion},
      {"reject", true, Action::Reject},    {"reject", false, Action::Reject},
      {"tempfail", true, Action::Defer},   {"tempfail", false, Action::Defer},
      {"ignore", true, Action::NoOpinion}, {"ignore", false, Action::NoOpinion},
  };
  for (const auto& [setting, mta_obeys, want] : rows) {
    INFO(setting << (mta_obeys ? ", the MTA obeys it" : ", the MTA does not know it"));
    REQUIRE(store.mutable_settings().set("tls_required_header", setting));
    const Verdict verdict = judge_tls_required_no(store, key("tls.example"), mta_obeys, at(0));
    CHECK(verdict.action == want);
    CHECK((verdict.reason == Reason::TlsRequiredNo) == (want != Action::NoOpinion));
    for (const auto* not_forced : {"may.example", "trial.example", "other.net"}) {
      INFO(not_forced);
      CHECK(judge_tls_required_no(store, key(not_forced), mta_obeys, at(0)).action ==
            Action::NoOpinion);
    }
  }
}

}  // namespace forcetls
