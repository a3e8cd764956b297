#include "milter/reply.h"

#include <algorithm>

#include "tests/unit/catch.h"

namespace forcetls {

TEST_CASE("to_reply: verdict -> status and text", "[milter][reply]") {
  const Reply none = to_reply({});
  CHECK(none.status == SMFIS_CONTINUE);
  CHECK(none.code.empty());

  // A trusted client is no opinion either: accepting would end the filtering of the message.
  CHECK(to_reply({Action::NoOpinion, Reason::Trusted, "bank.example", {}}).status ==
        SMFIS_CONTINUE);

  const Reply defer = to_reply({Action::Defer, Reason::ClearSubmission, "bank.example", {}});
  CHECK(defer.status == SMFIS_TEMPFAIL);
  CHECK(defer.code == "451");
  CHECK(defer.enhanced == "4.7.4");
  CHECK(defer.text == "mail for bank.example must be handed over with TLS; use STARTTLS");

  const Reply reject = to_reply({Action::Reject, Reason::ClearSubmission, "bank.example", {}});
  CHECK(reject.status == SMFIS_REJECT);
  CHECK(reject.code == "550");
  CHECK(reject.enhanced == "5.7.4");
}

TEST_CASE("to_reply: every reason has a text that libmilter takes", "[milter][reply]") {
  const std::string longest(400, '%');
  for (const auto action : {Action::Defer, Action::Reject})
    for (int reason = 0; reason <= static_cast<int>(Reason::PolicyUnavailable); ++reason) {
      CAPTURE(reason);
      const Reply reply = to_reply({action, static_cast<Reason>(reason), longest, "a\r\nb"});
      CHECK(reply.code == (action == Action::Defer ? "451" : "550"));
      CHECK(reply.enhanced.size() == 5);
      CHECK(reply.enhanced[0] == reply.code[0]);
      CHECK(reply.text.size() <= 980);
      CHECK(reply.text.find_first_of("\r\n") == std::string::npos);
      CHECK(std::count(reply.text.begin(), reply.text.end(), '%') % 2 == 0);
    }
}

TEST_CASE("to_reply: percent signs are doubled, long texts cut", "[milter][reply]") {
  CHECK(to_reply({Action::Defer, Reason::InboundCertificate, "bank.example", "50% Ltd %s"}).text ==
        "mail from bank.example must arrive with an agreed client certificate, not that of 50%% "
        "Ltd %%s");
  const Reply cut =
      to_reply({Action::Defer, Reason::RouteNextHop, std::string(400, 'a'), std::string(400, 'b')});
  CHECK(cut.code.size() + cut.enhanced.size() + cut.text.size() + 2 <= 510);
}

}  // namespace forcetls
