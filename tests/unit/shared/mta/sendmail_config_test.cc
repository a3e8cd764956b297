#include "shared/mta/sendmail_config.h"

#include "tests/unit/shared/mta/sendmail_bench.h"

using namespace forcetls;

TEST_CASE("sendmail.cf: lines are read as Sendmail reads them", "[mta][sendmail]") {
  const auto cf = SendmailConfig::parse(R"(# a comment
O PrivacyOptions=goaway
O privacyoptions = authwarnings , nobodyreturn
#O DontExpandCnames=True
Ox4
C{Tls}VERIFY ENCR
C{Tls} OTHER
Cwa.example b.example
D{MTAHost}[127.0.0.1]
DSrelay.example
Kx socket -d5 -T<TMPF> -o unix:/a b
Mesmtp,	P=[IPC], F=mDFMuXa,
	A=TCP $h
Xone, S=inet:1@127.0.0.1, T=S:4m;R:4m
Qmqueue, P=/q, r=1
O InputMailFilters=one; two, three
Sfirst=7
R$*   a		$:   b	a comment
Ssecond
Rx	y
Sfirst
Rz	w
)");
  CHECK(cf.option("PrivacyOptions") == "goaway,authwarnings , nobodyreturn");
  CHECK_FALSE(cf.option("DontExpandCnames"));
  CHECK(cf.class_members("Tls") == std::set<std::string>{"VERIFY", "ENCR", "OTHER"});
  CHECK(cf.class_members("w") == std::set<std::string>{"a.example", "b.example"});
  CHECK(cf.class_members("none").empty());
  CHECK(cf.macro("MTAHost") == "[127.0.0.1]");
  CHECK(cf.macro("S") == "relay.example");
  REQUIRE(cf.map("x") != nullptr);
  CHECK(cf.map("x")->type == "socket");
  CHECK(cf.map("x")->switches == std::vector<std::string>{"-d5", "-T<TMPF>", "-o"});
  CHECK(cf.map("x")->arguments == "unix:/a b");
  CHECK(cf.map("x")->switch_value('T') == "<TMPF>");
  CHECK(cf.map("y") == nullptr);
  REQUIRE(cf.mailers().size() == 1);
  CHECK(cf.mailers()[0].name == "esmtp");
  CHECK(cf.mailers()[0].field('A') == "TCP $h");
  REQUIRE(cf.milter("one") != nullptr);
  CHECK(cf.milter("one")->field('T') == "S:4m;R:4m");
  CHECK(cf.queue_groups()[0].field('r') == "1");
  CHECK(cf.input_milters() == std::vector<std::string>{"one", "two", "three"});
  CHECK(cf.ruleset("first") == std::vector<SendmailRule>{{"$* a", "$: b"}, {"z", "w"}});
  CHECK(cf.ruleset("none").empty());
}

TEST_CASE("sendmail.cf: what is true", "[mta][sendmail]") {
  struct Row {
    const char* line;
    bool want;
  };
  const Row rows[] = {{"O MeToo=True", true},
                      {"O MeToo=true", true},
                      {"O MeToo", true},
                      {"O MeToo=1", true},
                      {"O MeToo=yes", true},
                      {"O MeToo=False", false},
                      {"O MeToo=no", false},
                      {"O MeToo=0", false},
                      {"O Verbose=True", false},
                      {"#O MeToo=True", false},
                      {"", false},
                      {"O me=True", true},
                      {"O m=True", false},
                      {"O metoos=True", false}};
  for (const Row& row : rows) {
    CAPTURE(row.line);
    CHECK(SendmailConfig::parse(row.line).is_on("metoo") == row.want);
  }
}

TEST_CASE("sendmail.cf: any bytes give a configuration", "[mta][sendmail]") {
  for (const char* text : {"K", "K ", "M", "M,,=,", "O", "O =", "C", "C{", "D{x", "R", "S", "X,",
                           "Q", " x", "\n\n", "\tx\nR\t", "Kx socket -", "\xff\xfe"})
    CHECK(SendmailConfig::parse(text).ruleset("x").empty());
}

TEST_CASE("sendmail.cf: addresses in both spellings", "[mta][sendmail]") {
  struct Row {
    const char *sendmail, *ours;
  };
  const Row rows[] = {{"unix:/run/a.sock", "unix:/run/a.sock"},
                      {"inet:9001@127.0.0.1", "inet:127.0.0.1:9001"},
                      {"inet:9001@localhost", "inet:localhost:9001"},
                      {"inet6:9001@::1", "inet:[::1]:9001"}};
  for (const Row& row : rows) {
    CHECK(our_spelling_of(row.sendmail) == row.ours);
    CHECK(sendmail_spelling_of(row.ours) == row.sendmail);
  }
  CHECK(our_spelling_of("local:/run/a.sock") == "unix:/run/a.sock");
  CHECK(our_spelling_of("/run/a.sock") == "unix:/run/a.sock");
  CHECK(our_spelling_of("inet6:1@[::1]") == "inet:[::1]:1");
  CHECK(our_spelling_of("inet:9001") == "inet:9001");
  CHECK(our_spelling_of("") == "");
}

TEST_CASE("sendmail.cf: the rules of forcetls.m4 are built in", "[mta][sendmail]") {
  const SendmailConfig& shipped = shipped_ruleset();
  CHECK(shipped.ruleset(kLocalRuleset).size() == 3);
  CHECK(shipped.ruleset(kJudgingRuleset).size() == 17);
  REQUIRE(shipped.map(kSendmailMap) != nullptr);
  CHECK(shipped.map(kSendmailMap)->switches == std::vector<std::string>{"-q", "-d5", "-T<TMPF>"});
  CHECK(shipped.class_members("ForcetlsVersion") == std::set<std::string>{"TLSv1.2", "TLSv1.3"});
  CHECK(ruleset_state(SendmailConfig::parse(healthy_sendmail_cf())) == RulesetState::Ours);
}
