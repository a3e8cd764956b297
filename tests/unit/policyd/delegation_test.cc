#include "policyd/delegation.h"

#include "tests/unit/catch.h"
#include "tests/unit/fakes/rule_store.h"

using namespace forcetls;

namespace {

struct Mail {
  std::string state = "RCPT";
  std::string client = "198.51.100.7";
  std::string sender = "a@other.example";
  std::string recipient = "b@other.example";
  std::string tls = "";
  std::string bits = "0";
  std::string subject = "";
  std::string digest = "";
};

std::string request_for(const Mail& mail) {
  return "request=smtpd_access_policy\nprotocol_state=" + mail.state + "\nprotocol_name=ESMTP\n" +
         "client_address=" + mail.client + "\nqueue_id=\nsender=" + mail.sender +
         "\nrecipient=" + mail.recipient + "\nencryption_protocol=" + mail.tls +
         "\nencryption_keysize=" + mail.bits + "\nccert_subject=" + mail.subject +
         "\nccert_fingerprint=" + mail.digest + "\nnew_attribute_of_4.0=x=y\n\n";
}

std::string action_for(const RuleStore* store, const Mail& mail) {
  const std::string bytes = request_for(mail);
  const auto request = parse_policy_request(bytes);
  REQUIRE(request);
  CHECK(request->wire_bytes == bytes.size());
  std::string out;
  append_policy_reply(out, judge_request(store, *request, at(0)));
  return out;
}

const std::string kDigest =
    "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:"
    "FF";

FakeRuleStore own_and_partners() {
  FakeRuleStore store{
      {.key = "bank.example", .outbound = Level::Secure},
      {.key = "strict.example", .outbound = Level::Encrypt, .on_failure = OnFailure::Reject},
      {.key = "in.example",
       .outbound = Level::May,
       .inbound = InboundLevel::Encrypt,
       .min_bits = 256},
      {.key = "cert.example",
       .outbound = Level::May,
       .inbound = InboundLevel::Verify,
       .inbound_match = kDigest + "|Lab CA"},
  };
  store.mutable_settings().trusted_clients = {*Network::parse("10.0.0.0/8")};
  store.mutable_settings().own_domains = {"ours.example"};
  store.add({.key = "ours.example", .outbound = Level::Encrypt});
  return store;
}

}  // namespace

TEST_CASE("policy delegation: who may go on and who is refused", "[policyd][delegation]") {
  const FakeRuleStore store = own_and_partners();
  struct Row {
    const char* what;
    Mail mail;
    const char* want;
  };
  const Row rows[] = {
      {"nobody's rule", {}, "action=DUNNO\n\n"},
      {"forced recipient, clear session", {.recipient = "b@bank.example"}, "action=451 4.7.4 "},
      {"in capitals with dot", {.recipient = "B@BANK.EXAMPLE."}, "action=451 4.7.4 "},
      {"on_failure=reject", {.recipient = "b@strict.example"}, "action=550 5.7.4 "},
      {"forced recipient over TLS",
       {.recipient = "b@bank.example", .tls = "TLSv1.3", .bits = "256"},
       "action=DUNNO\n\n"},
      {"trusted client", {.client = "10.1.2.3", .recipient = "b@bank.example"}, "action=DUNNO\n\n"},
      {"our own domain (RFC 3207 s4)", {.recipient = "b@ours.example"}, "action=DUNNO\n\n"},
      {"only RCPT decides", {.state = "MAIL", .recipient = "b@bank.example"}, "action=DUNNO\n\n"},
      {"END-OF-MESSAGE neither",
       {.state = "END-OF-MESSAGE", .sender = "a@in.example"},
       "action=DUNNO\n\n"},
      {"inbound in clear", {.sender = "a@in.example"}, "action=451 4.7.4 "},
      {"inbound, old protocol",
       {.sender = "a@in.example", .tls = "TLSv1.1", .bits = "256"},
       "action=451 4.7.6 "},
      {"inbound, unknown protocol",
       {.sender = "a@in.example", .tls = "SSLv3", .bits = "256"},
       "action=451 4.7.6 "},
      {"inbound, few bits",
       {.sender = "a@in.example", .tls = "TLSv1.3", .bits = "128"},
       "action=451 4.7.6 "},
      {"inbound, bits are no number",
       {.sender = "a@in.example", .tls = "TLSv1.3", .bits = "x"},
       "action=451 4.7.6 "},
      {"inbound as agreed",
       {.sender = "a@in.example", .tls = "TLSv1.2", .bits = "256"},
       "action=DUNNO\n\n"},
      {"inbound without certificate",
       {.sender = "a@cert.example", .tls = "TLSv1.3", .bits = "256"},
       "action=451 4.7.5 "},
      {"inbound, another certificate",
       {.sender = "a@cert.example",
        .tls = "TLSv1.3",
        .bits = "256",
        .digest = "FF" + kDigest.substr(2)},
       "action=451 4.7.5 "},
      {"inbound with the digest, in lower case",
       {.sender = "a@cert.example",
        .tls = "TLSv1.3",
        .bits = "256",
        .digest = "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:"
                  "aa:bb:cc:dd:ee:ff"},
       "action=DUNNO\n\n"},
      {"inbound with the name, in xtext",
       {.sender = "a@cert.example", .tls = "TLSv1.3", .bits = "256", .subject = "Lab+20CA"},
       "action=DUNNO\n\n"},
      {"null sender", {.sender = ""}, "action=DUNNO\n\n"},
      {"sender that cannot be converted",
       {.sender = "a@\xf0\x9f\x92\xa9.example"},
       "action=451 4.7.0 "},
      {"recipient that cannot be converted", {.recipient = "a@\xff.example"}, "action=451 4.7.0 "},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    CHECK_THAT(action_for(&store, row.mail), StartsWith(row.want));
  }
}

TEST_CASE("policy delegation: without any policy since the start everything waits",
          "[policyd][delegation]") {
  CHECK_THAT(action_for(nullptr, {}), StartsWith("action=451 4.7.0 "));
  CHECK(action_for(nullptr, {.state = "MAIL"}) == "action=DUNNO\n\n");
}

TEST_CASE("policy delegation: an empty policy, or one in test, has no opinion on anything",
          "[policyd][delegation]") {
  const FakeRuleStore nothing;
  const FakeRuleStore tried{{.key = "bank.example", .mode = Mode::Test}};
  for (const FakeRuleStore* store : {&nothing, &tried})
    for (const char* address :
         {"", "a", "a@", "a@\xff", "a@\xf0\x9f\x92\xa9.example", "a@[10.1.2.3]"})
      CHECK(action_for(store, {.sender = address, .recipient = address}) == "action=DUNNO\n\n");
}

TEST_CASE("parse_policy_request: what is no request gives the error that says what to do",
          "[policyd][delegation]") {
  struct Row {
    const char* what;
    std::string bytes;
    ErrorCode want;
  };
  const Row rows[] = {
      {"nothing yet", "", ErrorCode::Incomplete},
      {"half a line", "request=smtpd", ErrorCode::Incomplete},
      {"no empty line yet", "request=smtpd_access_policy\n", ErrorCode::Incomplete},
      {"an empty request", "\n", ErrorCode::Malformed},
      {"another request", "request=other\n\n", ErrorCode::Malformed},
      {"request missing", "sender=a\n\n", ErrorCode::Malformed},
      {"line without =", "request=smtpd_access_policy\nhello\n\n", ErrorCode::Malformed},
      {"CR LF", "request=smtpd_access_policy\r\n\r\n", ErrorCode::Malformed},
      {"a netstring", "16:tls bank.example,\n", ErrorCode::Malformed},
      {"one endless line", std::string(kMaxPolicyRequestBytes + 1, 'x'), ErrorCode::TooLong},
      {"endless lines", "a=" + std::string(kMaxPolicyRequestBytes, 'x') + "\n\n",
       ErrorCode::TooLong},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto request = parse_policy_request(row.bytes);
    REQUIRE_FALSE(request);
    CHECK(request.error().code == row.want);
  }
}

TEST_CASE("append_policy_reply: never OK, never an empty action, never more than one line",
          "[policyd][delegation]") {
  for (const auto action : {Action::NoOpinion, Action::Defer, Action::Reject})
    for (int reason = 0; reason <= static_cast<int>(Reason::PolicyUnavailable); ++reason) {
      std::string out;
      append_policy_reply(out,
                          {action, static_cast<Reason>(reason), "x\ny.example", "z\r\naction=OK"});
      CAPTURE(out);
      CHECK(out.find('\n') == out.size() - 2);
      CHECK((out == "action=DUNNO\n\n" || out.starts_with("action=451 4.7.") ||
             out.starts_with("action=550 5.7.")));
    }
}
