// Sendmail configurations with a way around the enforcement, and what the doctor must say of each.
#include "shared/mta/sendmail_doctor.h"

#include <functional>

#include "tests/unit/shared/mta/sendmail_bench.h"

using namespace forcetls;

namespace {

using Told = std::vector<std::string>;

/// A healthy host with one forced row, then one change.
struct Change {
  const char* what;
  std::function<void(SendmailBench&)> make;
  Told want;
};

void check_all(const std::vector<Change>& rows) {
  for (const Change& row : rows) {
    INFO(row.what);
    SendmailBench bench;
    bench.bank();
    row.make(bench);
    CHECK(bench.told() == row.want);
  }
}

}  // namespace

TEST_CASE("sendmail doctor: nothing on a host with our lines", "[doctor][sendmail]") {
  CHECK(SendmailBench().told().empty());
  CHECK(SendmailBench().bank().told().empty());
  CHECK(SendmailBench()
            .bank()
            .row({.key = ".shop.example", .outbound = Level::Verify}, "OK TEMP+VERIFY:128+CN")
            .row({.key = "law.example", .outbound = Level::Secure, .match = "mx.law.example"},
                 "OK TEMP+VERIFY:128+CN:mx.law.example")
            .row({.key = "free.example", .outbound = Level::May}, "OK NONE")
            .row({.key = "[relay.example]:587", .outbound = Level::Secure}, "")
            .told()
            .empty());
}

TEST_CASE("sendmail doctor: the map and its line", "[doctor][sendmail]") {
  const auto switches = [](const char* line) {
    return [line](SendmailBench& b) { b.replace("-d5 -T<TMPF> unix:/run/f", line); };
  };
  const Told wrong{"warning certain map-switches @ sendmail.cf: K line sendmail"};
  check_all({
      {"no map",
       [](SendmailBench& b) { b.replace("Ksendmail socket", "Kforced socket"); },
       {"warning certain map-missing @ sendmail.cf: K lines"}},
      {"a map of another type",
       [](SendmailBench& b) { b.replace("Ksendmail socket", "Ksendmail hash"); },
       {"leak certain map-type @ sendmail.cf: K line sendmail"}},
      {"maps behind each other",
       [](SendmailBench& b) {
         b.replace("Ksendmail socket", "Kforced socket");
         b.add("Kevil text -k 0 -v 1 /tmp/evil\nKsendmail sequence evil forced");
       },
       {"leak certain map-type @ sendmail.cf: K line sendmail"}},
      {"optional", switches("-d5 -T<TMPF> -o unix:/run/f"), wrong},
      {"-t, which means nothing beside -T", switches("-d5 -T<TMPF> -t unix:/run/f"), {}},
      {"without -T", switches("-d5 unix:/run/f"), wrong},
      {"with another -T", switches("-d5 -T<X> unix:/run/f"), wrong},
      {"without -d", switches("-T<TMPF> unix:/run/f"), wrong},
      {"without -q",
       [](SendmailBench& b) { b.replace("-q -d5", "-d5"); },
       {"leak certain map-quotes @ sendmail.cf: K line sendmail"}},
      {"with more patience", switches("-d20 -T<TMPF> unix:/run/f"), {}},
      {"nobody listens",
       [](SendmailBench& b) {
         b.facts.socket_failures["unix:/run/forcetls/map.sock"] = "Connection refused";
         b.facts.answers.clear();
       },
       {"warning certain policyd-unreachable @ unix:/run/forcetls/map.sock"}},
      {"no milter listens",
       [](SendmailBench& b) { b.facts.socket_failures["unix:/run/forcetls/milter.sock"] = "gone"; },
       {"warning certain policyd-unreachable @ unix:/run/forcetls/milter.sock"}},
      {"another filter is down",
       [](SendmailBench& b) { b.facts.socket_failures["unix:/run/other.sock"] = "gone"; },
       {}},
      {"a directory that a group writes to",
       [](SendmailBench& b) {
         b.facts.unsafe_directories["unix:/run/forcetls/map.sock"] = "/run/forcetls";
         b.facts.socket_failures["unix:/run/forcetls/map.sock"] = "Permission denied";
       },
       {"warning certain socket-directory @ unix:/run/forcetls/map.sock"}},
      {"a socket that Sendmail's user may not open",
       [](SendmailBench& b) { b.facts.closed_sockets["unix:/run/forcetls/map.sock"] = "smmta"; },
       {"warning certain run-as-user @ unix:/run/forcetls/map.sock"}},
      {"policyd knows nothing of the row",
       [](SendmailBench& b) { b.facts.answers["bank.example"] = "OK NONE"; },
       {"leak certain answer-differs @ sendmail.cf: K line sendmail"}},
      {"policyd cannot tell",
       [](SendmailBench& b) { b.facts.answers["bank.example"] = "TEMP no policy"; },
       {"warning certain answer-differs @ sendmail.cf: K line sendmail"}},
      {"the daemon has not read it yet",
       [](SendmailBench& b) { b.facts.is_newer_than_daemon = true; },
       {"leak likely stale-daemon @ /etc/mail/sendmail.cf"}},
      {"an old release",
       [](SendmailBench& b) { b.facts.version = "8.15.2"; },
       {"leak possible sendmail-version @ sendmail 8.15.2"}},
      {"a newer release", [](SendmailBench& b) { b.facts.version = "8.18.2"; }, {}},
      {"another MTA's program", [](SendmailBench& b) { b.facts.version = ""; }, {}},
      {"built without socket maps",
       [](SendmailBench& b) { b.facts.features.erase("SOCKETMAP"); },
       {"warning certain sendmail-build @ sendmail 8.17.1.9"}},
      {"built without STARTTLS",
       [](SendmailBench& b) { b.facts.features.erase("STARTTLS"); },
       {"leak certain sendmail-build @ sendmail 8.17.1.9"}},
  });
}

TEST_CASE("sendmail doctor: the rules are ours, and are reached", "[doctor][sendmail]") {
  const std::string where = "sendmail.cf: ruleset Local_tls_rcpt";
  const Told missing{"leak certain ruleset-missing @ " + where};
  const Told changed{"leak likely ruleset-changed @ " + where};
  check_all({
      {"no rules", [](SendmailBench& b) { b.cf.erase(b.cf.find("SLocal_tls_rcpt")); }, missing},
      {"rules under another name",
       [](SendmailBench& b) { b.replace("SLocal_tls_rcpt", "SLocal_other"); }, missing},
      {"tls_rcpt does not call them",
       [](SendmailBench& b) { b.replace("R$*\t\t\t$: $1 $| $>\"Local_tls_rcpt\" $1\n", ""); },
       missing},
      {"tls_rcpt lets mail go before it calls them",
       [](SendmailBench& b) { b.replace("Stls_rcpt\n", "Stls_rcpt\nR$*\t$@ OK\n"); }, missing},
      {"a rule of the site before ours",
       [](SendmailBench& b) { b.replace("SLocal_tls_rcpt\n", "SLocal_tls_rcpt\nR$*\t$@ OK\n"); },
       {"leak likely ruleset-preceded @ " + where}},
      {"a rule of the site behind ours", [](SendmailBench& b) { b.add("R$*\t$@ OK"); }, {}},
      {"a rule is missing", [](SendmailBench& b) { b.replace("R<NONE>\t$@ <OK>\n", ""); }, changed},
      {"a rule that takes what is not judged for good",
       [](SendmailBench& b) {
         b.replace("SForcetls_tls_rcpt\n", "SForcetls_tls_rcpt\nR$*\t$@ <OK>\n");
       },
       changed},
      {"the rules of an earlier release",
       [](SendmailBench& b) { b.cf.erase(b.cf.find("SForcetls_tls_rcpt\n"), 19); }, changed},
      {"a rule is weaker", [](SendmailBench& b) { b.replace("$@ 128 $)", "$@ 1 $)"); }, changed},
      {"a class has more",
       [](SendmailBench& b) { b.replace("C{ForcetlsVersion}", "C{ForcetlsVersion}TLSv1 "); },
       changed},
      {"a class has more elsewhere", [](SendmailBench& b) { b.add("C{ForcetlsSession}NO"); },
       changed},
      {"no arithmetic",
       [](SendmailBench& b) { b.replace("Kforcetls_arith arith", "Kforcetls_arith null"); },
       changed},
      {"no map and no rules",
       [](SendmailBench& b) {
         b.replace("Ksendmail socket", "Kx socket");
         b.cf.erase(b.cf.find("SLocal_tls_rcpt"));
       },
       missing},
  });
}

TEST_CASE("sendmail doctor: how mail leaves", "[doctor][sendmail]") {
  check_all({
      {"aliases are followed",
       [](SendmailBench& b) { b.replace("O DontExpandCnames=True\n", ""); },
       {"leak certain aliases-followed @ sendmail.cf: O DontExpandCnames"}},
      {"aliases are followed by an abbreviation",
       [](SendmailBench& b) { b.add("O dontexpand=False"); },
       {"leak certain aliases-followed @ sendmail.cf: O DontExpandCnames"}},
      {"an abbreviation that means nothing", [](SendmailBench& b) { b.add("O Dont=False"); }, {}},
      {"names are completed by an old line",
       [](SendmailBench& b) { b.add("OIdnsrch"); },
       {"leak certain names-completed @ sendmail.cf: O ResolverOptions"}},
      {"routes are kept",
       [](SendmailBench& b) { b.add("O DontPruneRoutes=True"); },
       {"leak possible routes-kept @ sendmail.cf: O DontPruneRoutes"}},
      {"aliases are followed by the last word",
       [](SendmailBench& b) { b.add("O DontExpandCnames=False"); },
       {"leak certain aliases-followed @ sendmail.cf: O DontExpandCnames"}},
      {"sendmail(1) follows aliases",
       [](SendmailBench& b) { b.replace_in_submit("O DontExpandCnames=True", "# O"); },
       {"leak certain aliases-followed @ submit.cf: O DontExpandCnames"}},
      {"names are completed",
       [](SendmailBench& b) { b.replace(" -DNSRCH -DEFNAMES", ""); },
       {"leak certain names-completed @ sendmail.cf: O ResolverOptions"}},
      {"names with dots are completed",
       [](SendmailBench& b) { b.replace(" -DNSRCH", ""); },
       {"leak certain names-completed @ sendmail.cf: O ResolverOptions"}},
      {"names are completed by the last word",
       [](SendmailBench& b) { b.add("O ResolverOptions=+DnSrch"); },
       {"leak certain names-completed @ sendmail.cf: O ResolverOptions"}},
      {"a later line says nothing of it",
       [](SendmailBench& b) { b.add("O ResolverOptions=use_edns0"); },
       {}},
      {"sendmail(1) completes names",
       [](SendmailBench& b) { b.replace_in_submit("-DNSRCH", "DNSRCH"); },
       {"leak certain names-completed @ submit.cf: O ResolverOptions"}},
      {"bounces of sendmail(1) carry the text",
       [](SendmailBench& b) { b.replace_in_submit(",nobodyreturn", ""); },
       {"leak certain bounce-bodies @ submit.cf: O PrivacyOptions"}},
      {"no submit.cf", [](SendmailBench& b) { b.facts.submit.reset(); }, {}},
      {"sendmail(1) hands mail to another host",
       [](SendmailBench& b) { b.replace_in_submit("[127.0.0.1]", "[hub.example]"); },
       {"leak certain submit-elsewhere @ submit.cf: MTAHost"}},
      {"sendmail(1) hands mail to another host while the daemon is down",
       [](SendmailBench& b) {
         b.replace_in_submit("D{MTAHost}", "O FallbackSmartHost=[hub.example]\nD{MTAHost}");
       },
       {"leak certain submit-elsewhere @ submit.cf: O FallbackSmartHost"}},
      {"a mailer that is a program",
       [](SendmailBench& b) { b.add("Muucp,\tP=/usr/bin/uux, F=DFMhuUd"); },
       {"leak possible program-mailer @ sendmail.cf: Muucp"}},
      {"no queue group",
       [](SendmailBench& b) { b.replace("Qmqueue, ", "# "); },
       {"warning certain queue-group @ sendmail.cf: Q lines"}},
      {"several recipients in an envelope",
       [](SendmailBench& b) { b.replace(", r=1", ", r=10"); },
       {"warning certain queue-group @ sendmail.cf: Qmqueue"}},
      {"no limit of recipients",
       [](SendmailBench& b) { b.replace(", r=1", ""); },
       {"warning certain queue-group @ sendmail.cf: Qmqueue"}},
      {"another queue group",
       [](SendmailBench& b) { b.add("Qslow, P=/var/spool/slow, F=f"); },
       {"warning certain queue-group @ sendmail.cf: Qslow"}},
      {"bounces carry the text",
       [](SendmailBench& b) { b.replace(",nobodyreturn", ""); },
       {"leak certain bounce-bodies @ sendmail.cf: O PrivacyOptions"}},
      {"bounces carry no text by one of two lines",
       [](SendmailBench& b) {
         b.replace(",nobodyreturn", ",NoBodyReturn");
         b.add("O PrivacyOptions=noexpn");
       },
       {}},
      {"nobody is told of a delay",
       [](SendmailBench& b) { b.replace("queuewarn=4h", "queuewarn=0"); },
       {"warning certain silent-deferral @ sendmail.cf: O Timeout.queuewarn"}},
      {"falls back to clear",
       [](SendmailBench& b) { b.add("O TLSFallbacktoClear=true"); },
       {"note certain falls-back-to-clear @ sendmail.cf: O TLSFallbacktoClear"}},
      {"does not fall back to clear",
       [](SendmailBench& b) { b.add("O TLSFallbacktoClear=false"); },
       {}},
      {"MTA-STS",
       [](SendmailBench& b) { b.add("Ksts socket -d5 -T<TMPF> inet:8461@127.0.0.1"); },
       {"note certain sts-feature @ sendmail.cf: K line sts"}},
      {"a smart host",
       [](SendmailBench& b) { b.replace("\nDS\n", "\nDSrelay.example\n"); },
       {"note possible next-hop @ sendmail.cf: DS"}},
      {"a mailertable",
       [](SendmailBench& b) { b.add("Kmailertable hash -o /etc/mail/mailertable"); },
       {"note possible next-hop @ sendmail.cf: Kmailertable"}},
      {"a host for what fails",
       [](SendmailBench& b) { b.add("O FallbackMXhost=backup.example"); },
       {"note possible next-hop @ sendmail.cf: O FallbackMXhost"}},
      {"the database can be changed by others",
       [](SendmailBench& b) { b.facts.policy.only_root_writes = false; },
       {"warning certain policy-db-owner @ /var/lib/forcetls/policy.db"}},
  });
}

TEST_CASE("sendmail doctor: the access database", "[doctor][sendmail]") {
  const auto socket = [](const char* line) {
    return
        [line](SendmailBench& b) { b.replace("Kaccess hash -T<TMPF> -o /etc/mail/access", line); };
  };
  const auto entry = [](const char* key, const char* value) {
    return [=](SendmailBench& b) { b.facts.access = {{key, value}}; };
  };
  const Told open{"warning certain access-map @ sendmail.cf: K line access"};
  check_all({
      {"by socket", socket("Kaccess socket -d5 -T<TMPF> inet:1@127.0.0.1"), {}},
      {"by socket, without -T", socket("Kaccess socket -d5 inet:1@127.0.0.1"), open},
      {"by socket, optional", socket("Kaccess socket -d5 -T<TMPF> -o inet:1@127.0.0.1"), open},
      {"by socket, with -t", socket("Kaccess socket -d5 -T<TMPF> -t inet:1@127.0.0.1"), {}},
      {"none", socket("# none"), {}},
      {"Try_TLS NO for a server of the partner's",
       entry("Try_TLS:mx.bank.example", "NO"),
       {"warning likely try-tls-no @ access: Try_TLS:mx.bank.example"}},
      {"Try_TLS NO for the domain",
       entry("try_tls:bank.example", "no"),
       {"warning likely try-tls-no @ access: try_tls:bank.example"}},
      {"Try_TLS NO for a parent",
       entry("Try_TLS:example", "NO"),
       {"warning likely try-tls-no @ access: Try_TLS:example"}},
      {"Try_TLS NO for all",
       entry("Try_TLS:", "NO"),
       {"warning likely try-tls-no @ access: Try_TLS:"}},
      {"Try_TLS NO for an address",
       entry("Try_TLS:192.0.2.1", "NO"),
       {"warning possible try-tls-no @ access: Try_TLS:192.0.2.1"}},
      {"something else about TLS", entry("TLS_Srv:mx.bank.example", "VERIFY"), {}},
  });
}

TEST_CASE("sendmail doctor: rows that Sendmail cannot keep are named", "[doctor][sendmail]") {
  const FakeRule refused[] = {
      {.key = "a.example", .outbound = Level::Secure},
      {.key = "a.example", .outbound = Level::Secure, .match = "mx1.a.example:mx2.a.example"},
      {.key = "a.example", .outbound = Level::Secure, .match = ".a.example"},
      {.key = "a.example", .outbound = Level::Dane},
      {.key = "a.example", .outbound = Level::DaneOnly},
      {.key = "a.example", .outbound = Level::Fingerprint, .match = "AA:BB"},
      {.key = "a.example", .outbound = Level::Encrypt, .min_protocol = Protocol::Tls13},
      {.key = "a.example", .outbound = Level::Encrypt, .exclude = "3DES"},
      {.key = "a.example", .outbound = Level::Verify, .tafile = "/etc/ca.pem"},
  };
  for (const FakeRule& rule : refused) {
    SendmailBench bench;
    bench.policy.add(rule);
    const auto found = bench.findings();
    REQUIRE(found.size() == 1);
    CHECK(found[0].id == "row-refused");
    CHECK(found[0].severity == doctor::Severity::Warning);
    CHECK_THAT(found[0].what, StartsWith("Sendmail cannot keep "));
  }
  SendmailBench tested;
  tested.policy.add({.key = "a.example", .mode = Mode::Test, .outbound = Level::Secure});
  CHECK(tested.told().empty());
}

TEST_CASE("sendmail doctor: certificates need authorities", "[doctor][sendmail]") {
  check_all({
      {"no file, and no row that needs it",
       [](SendmailBench& b) { b.replace("O CACertFile", "# O CACertFile"); },
       {"note certain ca-store @ sendmail.cf: O CACertFile"}},
      {"no directory, and a row that needs it",
       [](SendmailBench& b) {
         b.replace("O CACertPath", "# O CACertPath");
         b.row({.key = "a.example", .outbound = Level::Verify}, "OK TEMP+VERIFY:128+CN");
       },
       {"warning certain ca-store @ sendmail.cf: O CACertPath"}},
      {"a file that is not there",
       [](SendmailBench& b) { b.facts.missing_files = {"/etc/ssl/certs/ca-certificates.crt"}; },
       {"note certain ca-store @ sendmail.cf: O CACertFile"}},
  });
}

TEST_CASE("sendmail doctor: the milter", "[doctor][sendmail]") {
  const auto inbound = [](SendmailBench& b) {
    b.row({.key = "in.example",
           .outbound = Level::May,
           .inbound = InboundLevel::Verify,
           .inbound_match = "x.example"},
          "OK NONE");
  };
  check_all({
      {"none",
       [](SendmailBench& b) { b.replace("O InputMailFilters=forcetls\n", ""); },
       {"warning certain milter-missing @ sendmail.cf: O InputMailFilters"}},
      {"another one only",
       [](SendmailBench& b) { b.replace("unix:/run/forcetls/milter", "unix:/run/dkim/milter"); },
       {"warning certain milter-missing @ sendmail.cf: O InputMailFilters"}},
      {"at another address of ours",
       [](SendmailBench& b) {
         b.replace("S=unix:/run/forcetls/milter.sock", "S=inet:8462@127.0.0.1");
         b.facts.our_addresses.insert("inet:127.0.0.1:8462");
       },
       {}},
      {"lets mail pass while it is down",
       [](SendmailBench& b) { b.replace(", F=T,", ","); },
       {"warning certain milter-flag @ sendmail.cf: Xforcetls"}},
      {"refuses mail while it is down",
       [](SendmailBench& b) { b.replace("F=T,", "F=R,"); },
       {"warning certain milter-flag @ sendmail.cf: Xforcetls"}},
      {"a filter on another host",
       [](SendmailBench& b) {
         b.replace("Filters=forcetls", "Filters=forcetls,spam");
         b.add("Xspam, S=inet:783@filter.example, F=T");
       },
       {"leak certain milter-elsewhere @ sendmail.cf: Xspam"}},
      {"a filter on another host, of one daemon",
       [](SendmailBench& b) {
         b.add("O DaemonPortOptions=Name=MTA");
         b.add("O DaemonPortOptions=Name=MSA, Port=587, InputMailFilters=forcetls;spam, M=E");
         b.add("Xspam, S=inet:783@filter.example, F=T");
       },
       {"leak certain milter-elsewhere @ sendmail.cf: Xspam"}},
      {"a daemon without filters",
       [](SendmailBench& b) { b.add("O DaemonPortOptions=Name=MSA, Port=587, I="); },
       {"warning certain milter-missing @ sendmail.cf: O DaemonPortOptions MSA"}},
      {"a filter on this host",
       [](SendmailBench& b) {
         b.replace("Filters=forcetls", "Filters=forcetls,spam");
         b.add("Xspam, S=inet:783@localhost, F=T");
       },
       {}},
      {"clients are asked for no certificate",
       [&](SendmailBench& b) {
         b.add("O TLSSrvOptions=V");
         inbound(b);
       },
       {"warning certain client-certificates @ sendmail.cf: O TLSSrvOptions"}},
      {"clients are asked for no certificate, and no row wants one",
       [](SendmailBench& b) { b.add("O TLSSrvOptions=V"); },
       {}},
      {"a mailer that the setting does not list",
       [](SendmailBench& b) { b.add("Msmtp8, P=[IPC], F=mDFMuX8"); },
       {"note certain enforcing-transports @ policy.db: setting enforcing_transports"}},
  });
}
