#include "shared/mta/sendmail_setup.h"

#include <algorithm>

#include "tests/unit/shared/mta/sendmail_bench.h"

using namespace forcetls;

namespace {

constexpr const char* kDebianMc = R"(divert(0)dnl
dnl define(`confCACERT', `/etc/ssl/certs/ca-certificates.crt')dnl
define(`confPRIVACY_FLAGS',dnl
`needmailhelo,nobodyreturn,authwarnings')dnl
MAILER_DEFINITIONS
MAILER(`local')dnl
MAILER(`smtp')dnl
)";
constexpr const char* kOurMc = R"(divert(0)dnl
define(`confCACERT', `/etc/ssl/certs/ca-certificates.crt')dnl
define(`confCACERT_PATH',`/etc/ssl/certs')dnl
QUEUE_GROUP(`mqueue', `P=/var/spool/mqueue, F=f, r=1')dnl
define(`confPRIVACY_FLAGS', `nobodyreturn')dnl
INPUT_MAIL_FILTER(`forcetls', `S=unix:/run/forcetls/milter.sock, F=T, T=S:4m;R:4m;E:10m')dnl
MAILER_DEFINITIONS
MAILER(`local')dnl
MAILER(`smtp')dnl
include(`/etc/mail/m4/forcetls.m4')dnl
)";

SendmailSetupFacts facts_of(const char* mc, const std::string& cf = "") {
  SendmailSetupFacts facts;
  facts.mc = mc;
  if (!cf.empty()) facts.cf = SendmailConfig::parse(cf);
  facts.version = "8.18.1";
  facts.features = {"MILTER", "SOCKETMAP", "STARTTLS"};
  facts.has_snippet = true;
  return facts;
}

/// The first words of each line that is missing.
std::vector<std::string> missing(const SendmailSetupFacts& facts) {
  std::vector<std::string> texts;
  for (const SendmailLine& line : plan_sendmail_setup(facts))
    texts.push_back((line.is_written ? "written: " : "") +
                    line.text.substr(0, line.text.find(',')));
  return texts;
}

}  // namespace

TEST_CASE("sendmail setup: the lines that Debian's sendmail.mc needs", "[mta][sendmail]") {
  using Texts = std::vector<std::string>;
  CHECK(missing(facts_of(kDebianMc)) ==
        Texts{"define(`confCACERT'", "define(`confCACERT_PATH'", "QUEUE_GROUP(`mqueue'",
              "INPUT_MAIL_FILTER(`forcetls'", "include(`/etc/mail/m4/forcetls.m4')dnl"});
  CHECK(missing(facts_of(kOurMc)).empty());
  CHECK(missing(facts_of(kOurMc, healthy_sendmail_cf())).empty());
}

TEST_CASE("sendmail setup: the lines belong before the mailers, wherever those are",
          "[mta][sendmail]") {
  struct Row {
    const char *mc, *place;
  };
  const Row rows[] = {
      {kDebianMc, "before MAILER_DEFINITIONS"},
      {"FEATURE(`nullclient', `hub')dnl\n", "before the line with FEATURE(`nullclient'"},
      {"dnl FEATURE(`nullclient', `hub')dnl\nMAILER(`smtp')dnl\n", "before the MAILER() lines"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.mc);
    CHECK(plan_sendmail_setup(facts_of(row.mc)).front().place == row.place);
  }
}

TEST_CASE("sendmail setup: what counts is sendmail.cf", "[mta][sendmail]") {
  CHECK(missing(facts_of("", healthy_sendmail_cf())).empty());
  const auto written = missing(facts_of(kOurMc, "V10\n"));
  REQUIRE(written.size() == 6);
  for (const std::string& line : written) CHECK_THAT(line, StartsWith("written: "));
  const auto facts = facts_of(kOurMc, "V10\n");
  const std::string words = in_words(plan_sendmail_setup(facts), facts);
  CHECK_THAT(words, ContainsSubstring("/etc/mail/sendmail.mc has lines that are not in force yet"));
  CHECK_THAT(words, ContainsSubstring("make -C /etc/mail/"));
}

TEST_CASE("sendmail setup: each line that is taken away is asked for again", "[mta][sendmail]") {
  struct Row {
    const char *old, *text, *want;
  };
  const Row rows[] = {
      {"O CACertFile", "# O", "define(`confCACERT'"},
      {"O CACertPath", "# O", "define(`confCACERT_PATH'"},
      {", r=1", "", "QUEUE_GROUP(`mqueue'"},
      {",nobodyreturn", "", "define(`confPRIVACY_FLAGS'"},
      {", F=T,", ",", "INPUT_MAIL_FILTER(`forcetls'"},
      {"S=unix:/run/forcetls", "S=unix:/run/other", "INPUT_MAIL_FILTER(`forcetls'"},
      {"O DontExpandCnames", "# O", "include(`/etc/mail/m4/forcetls.m4')dnl"},
      {"-DNSRCH", "", "include(`/etc/mail/m4/forcetls.m4')dnl"},
      {"SLocal_tls_rcpt", "SLocal_tls_rcpt\nR$*\t$@ OK", "include(`/etc/mail/m4/forcetls.m4')dnl"},
      {"Ksendmail", "Kother", "include(`/etc/mail/m4/forcetls.m4')dnl"},
  };
  for (const Row& row : rows) {
    INFO(row.old);
    SendmailBench bench;
    bench.replace(row.old, row.text);
    CHECK(missing(facts_of("", bench.cf)) == std::vector<std::string>{row.want});
  }
}

TEST_CASE("sendmail setup: the include belongs behind the mailers", "[mta][sendmail]") {
  auto facts = facts_of("include(`/etc/mail/m4/forcetls.m4')dnl\nMAILER(`smtp')dnl\n", "V10\n");
  const auto lines = plan_sendmail_setup(facts);
  const auto include = std::find_if(lines.begin(), lines.end(), [](const SendmailLine& line) {
    return line.text.starts_with("include");
  });
  REQUIRE(include != lines.end());
  CHECK_FALSE(include->is_written);
  CHECK_THAT(include->place, ContainsSubstring("behind the MAILER() lines"));
}

TEST_CASE("sendmail setup: submit.mc, the snippet and other sockets", "[mta][sendmail]") {
  auto facts = facts_of(kOurMc, healthy_sendmail_cf());
  facts.submit_mc = "FEATURE(`msp')dnl\n";
  facts.has_snippet = false;
  facts.map_address = "inet:127.0.0.1:8461";
  const auto lines = plan_sendmail_setup(facts);
  REQUIRE(lines.size() == 6);
  CHECK_THAT(lines[0].text, StartsWith("install -m 0644 "));
  CHECK(lines[1].text == "define(`_FORCETLS_SOCKET_', `inet:8461@127.0.0.1')dnl");
  CHECK(lines[3].file == "/etc/mail/submit.mc");
  CHECK(lines[3].text == "define(`confDONT_EXPAND_CNAMES', `True')dnl");
  facts.submit_mc = "define(`confDONT_EXPAND_CNAMES',`True')\nFEATURE(`msp')dnl\n";
  CHECK(plan_sendmail_setup(facts).size() == 5);
}

TEST_CASE("sendmail setup: submit.mc's flags count behind FEATURE(`msp') only", "[mta][sendmail]") {
  const std::string before =
      "define(`confDONT_EXPAND_CNAMES', `True')dnl\n"
      "define(`confBIND_OPTS', `WorkAroundBrokenAAAA -DNSRCH -DEFNAMES')dnl\n";
  const std::string flags =
      "define(`confPRIVACY_FLAGS', `goaway,noetrn,restrictqrun,nobodyreturn')dnl";
  auto facts = facts_of(kOurMc);
  facts.submit_mc = before + flags + "\nFEATURE(`msp')dnl\n";
  const auto lines = plan_sendmail_setup(facts);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].place == "behind the line with FEATURE(`msp'");
  CHECK(lines[0].text == flags);
  CHECK_FALSE(lines[0].is_written);
  facts.submit_mc = before + "FEATURE(`msp')dnl\n" + flags + "\n";
  CHECK(plan_sendmail_setup(facts).empty());
  facts.submit_cf = SendmailConfig::parse("O PrivacyOptions=goaway\n");
  CHECK(missing(facts) == std::vector<std::string>{"written: define(`confDONT_EXPAND_CNAMES'",
                                                   "written: define(`confBIND_OPTS'",
                                                   "written: define(`confPRIVACY_FLAGS'"});
  facts.submit_cf = SendmailConfig::parse(healthy_submit_cf());
  CHECK(plan_sendmail_setup(facts).empty());
}

TEST_CASE("sendmail setup: a Sendmail that cannot do it is refused", "[mta][sendmail]") {
  auto facts = facts_of(kOurMc);
  CHECK(refusal_of_sendmail(facts).empty());
  facts.features.erase("SOCKETMAP");
  CHECK_THAT(refusal_of_sendmail(facts), ContainsSubstring("without SOCKETMAP"));
  facts.features.clear();  // It did not tell.
  CHECK(refusal_of_sendmail(facts).empty());
  facts.version = "8.15.2";
  CHECK_THAT(refusal_of_sendmail(facts), ContainsSubstring("too old"));
}
