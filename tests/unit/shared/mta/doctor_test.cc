// Configurations with a way around the enforcement, and what the doctor must say of each.
#include "shared/mta/doctor.h"

#include <algorithm>

#include "tests/unit/shared/mta/doctor_rows.h"

using namespace forcetls;

TEST_CASE("doctor: nothing above a note on Debian's Postfix with our lines", "[doctor]") {
  for (const Release release : {Release::Debian12, Release::Debian13}) {
    CHECK(Bench(release).bolt_on().told().empty());
    CHECK(Bench(release).bolt_on().bank().told().empty());
    CHECK(Bench(release)
              .bolt_on()
              .bank()
              .row({.key = ".shop.example", .outbound = Level::Encrypt})
              .route("postmaster@forcetls-doctor.shop.example", "smtp",
                     "forcetls-doctor.shop.example")
              .row({.key = "[relay.example]:587", .outbound = Level::Verify})
              .told()
              .empty());
  }
}

TEST_CASE("doctor: Debian's Postfix without our lines", "[doctor]") {
  const Told want{"leak certain policy-map-missing @ main.cf: smtp_tls_policy_maps",
                  "leak certain route-transport @ master.cf: smtp/unix",
                  "leak certain connection-cache @ main.cf: smtp_connection_cache_on_demand",
                  "leak certain session-cache @ main.cf: smtp_tls_session_cache_database",
                  "leak certain bounce-bodies @ main.cf: bounce_size_limit",
                  "warning certain starttls-5xx @ main.cf: smtp_delivery_status_filter",
                  "warning certain tls-loglevel @ main.cf: smtp_tls_loglevel",
                  "warning certain silent-deferral @ main.cf: delay_warning_time",
                  "warning certain policy-service-missing @ main.cf: smtpd_recipient_restrictions",
                  "warning certain milter-missing @ main.cf: smtpd_milters",
                  "warning certain milter-missing @ main.cf: non_smtpd_milters"};
  CHECK(Bench(Release::Debian12).bank().told() == want);
  Told newer = want;
  newer.insert(newer.begin() + 4,
               "leak certain tls-required-header @ main.cf: tls_required_enable");
  CHECK(Bench(Release::Debian13).bank().told() == newer);
}

TEST_CASE("doctor: policy maps", "[doctor]") {
  const char* const ours = "socketmap:unix:forcetls/map.sock:tls";
  check_all({
      {"proxied",
       [&](Bench& b) { b.set("smtp_tls_policy_maps", std::string("proxy:") + ours); },
       {}},
      {"by inet",
       [](Bench& b) { b.set("smtp_tls_policy_maps", "socketmap:inet:127.0.0.1:9:tls"); },
       {}},
      {"without the map default, which nothing needs",
       [&](Bench& b) {
         b.set("smtp_tls_policy_maps", ours).facts.settings["unlisted_relay"] = "unset";
       },
       {}},
      {"without the map default, where main.cf's own level is stricter",
       [&](Bench& b) {
         b.set("smtp_tls_policy_maps", ours).set("smtp_tls_security_level", "secure");
         b.facts.settings["default_outbound"] = "encrypt";
       },
       {}},
      {"the map default, where main.cf's own level is stricter",
       [](Bench& b) {
         b.set("smtp_tls_security_level", "dane-only");
         b.facts.settings["default_outbound"] = "encrypt";
       },
       {"warning certain security-level @ main.cf: smtp_tls_policy_maps"}},
      {"the same while no setting needs it",
       [](Bench& b) { b.set("smtp_tls_security_level", "secure"); },
       {}},
      {"without the map default, which a setting needs",
       [&](Bench& b) {
         b.set("smtp_tls_policy_maps", ours).facts.settings["unlisted_relay"] = "encrypt";
       },
       {"leak certain policy-map-missing @ main.cf: smtp_tls_policy_maps"}},
      {"by a $name",
       [&](Bench& b) { b.set("smtp_tls_policy_maps", "$mine").set("mine", ours); },
       {}},
      {"another resolver only",
       [](Bench& b) { b.set("smtp_tls_policy_maps", "socketmap:inet:127.0.0.1:8461:postfix"); },
       {"leak certain policy-map-missing @ main.cf: smtp_tls_policy_maps",
        "leak certain route-transport @ master.cf: smtp/unix"}},
      {"a clone without, unused",
       [](Bench& b) {
         b.service({"clone/unix", "smtp", true, {{"smtp_tls_policy_maps", ""}}});
       },
       {"leak possible service-policy-map @ master.cf: clone/unix: -o smtp_tls_policy_maps"}},
      {"a clone without by way of another -o",
       [&](Bench& b) {
         b.set("smtp_tls_policy_maps", "$mine").set("mine", ours);
         b.service({"clone/unix", "smtp", true, {{"mine", ""}}});
       },
       {"leak possible service-policy-map @ master.cf: clone/unix: -o smtp_tls_policy_maps"}},
      {"relay without",
       [](Bench& b) { b.option("relay/unix", "smtp_tls_policy_maps", "hash:/a"); },
       {"leak certain service-policy-map @ master.cf: relay/unix: -o smtp_tls_policy_maps"}},
      {"a table before, weaker",
       [&](Bench& b) {
         b.set("smtp_tls_policy_maps", std::string("hash:/a, ") + ours);
         b.facts.tables["hash:/a"] = {{"bank.example", "may"}};
       },
       {"leak certain policy-map-not-first @ main.cf: smtp_tls_policy_maps"}},
      {"a table before, as strong",
       [&](Bench& b) {
         b.set("smtp_tls_policy_maps", std::string("hash:/a, ") + ours);
         b.facts.tables["hash:/a"] = {{"bank.example", "secure match=x"}, {"other.example", "may"}};
       },
       {"leak possible policy-map-not-first @ main.cf: smtp_tls_policy_maps"}},
      {"a table before that cannot be listed",
       [&](Bench& b) {
         b.set("smtp_tls_policy_maps", std::string("pcre:/a, ") + ours);
         b.facts.policy_answers["pcre:/a"] = {{"bank.example", "encrypt"}};
       },
       {"leak certain policy-map-not-first @ main.cf: smtp_tls_policy_maps"}},
      {"default before tls",
       [&](Bench& b) {
         b.set("smtp_tls_policy_maps",
               std::string("socketmap:unix:forcetls/map.sock:default ") + ours);
       },
       {}},
      {"per-site table",
       [](Bench& b) { b.set("smtp_tls_per_site", "hash:/a"); },
       {"warning certain per-site-ignored @ main.cf: smtp_tls_per_site"}},
  });
}

TEST_CASE("doctor: what would make other commands do harm comes before the leaks", "[doctor]") {
  Bench bench;
  bench.facts.main_cf_directory = "/etc/my postfix";
  CHECK(bench.findings().front().id != "main-cf-newline");
  bench.facts.main_cf_ends_in_newline = false;
  const auto findings = bench.findings();
  CHECK(findings[0].id == "main-cf-newline");
  CHECK(findings[0].severity == doctor::Severity::Warning);
  CHECK(findings[0].fix == "printf '\\n' >>'/etc/my postfix/main.cf'");
  CHECK(findings[1].severity == doctor::Severity::Leak);
}

TEST_CASE("doctor: sockets", "[doctor]") {
  const doctor::SocketQuestion map{"unix:forcetls/map.sock", true};
  const doctor::SocketQuestion milter{"unix:forcetls/milter.sock", true, true};
  const doctor::SocketQuestion outside{"unix:/run/forcetls/map.sock", true};
  const std::string table = "socketmap:unix:/run/forcetls/map.sock:tls";
  check_all({
      {"nobody listens",
       [&](Bench& b) { b.facts.socket_failures[map] = "Connection refused"; },
       {"warning certain policyd-unreachable @ main.cf: smtp_tls_policy_maps",
        "warning certain policyd-unreachable @ main.cf: lmtp_tls_policy_maps"}},
      {"a milter that does not answer",
       [&](Bench& b) { b.facts.socket_failures[milter] = "no milter answers"; },
       {"warning certain policyd-unreachable @ main.cf: smtpd_milters",
        "warning certain policyd-unreachable @ main.cf: non_smtpd_milters"}},
      {"outside the chroot",
       [&](Bench& b) {
         b.set("smtp_tls_policy_maps", table).facts.socket_failures[outside] = "No such file";
       },
       {"warning certain socket-path @ main.cf: smtp_tls_policy_maps"}},
      {"outside the chroot by proxymap",
       [&](Bench& b) {
         b.set("smtp_tls_policy_maps", "proxy:" + table).facts.socket_failures[outside] =
             "No such file";
       },
       {}},
      {"lookups fail",
       [](Bench& b) { b.facts.table_failures["socketmap:x:tls"] = "no policy"; },
       {"warning certain policyd-unreachable @ main.cf: smtp_tls_policy_maps: socketmap:x:tls"}},
  });
}

TEST_CASE("doctor: policy database and settings", "[doctor]") {
  check_all({
      {"WAL, in which the settings cannot be read",
       [](Bench& b) {
         b.facts.policy.is_wal = true;
         b.policy.mutable_settings().enforcing_transports.clear();
       },
       {"warning certain policy-db-wal @ /p.db"}},
      {"unreadable for the daemons",
       [](Bench& b) { b.facts.policy.unreadable = b.facts.policy.path; },
       {"warning likely policy-db-owner @ /p.db"}},
      {"WAL",
       [](Bench& b) { b.facts.policy.is_wal = true; },
       {"warning certain policy-db-wal @ /p.db"}},
      {"writable",
       [](Bench& b) { b.facts.policy.only_root_writes = false; },
       {"warning certain policy-db-owner @ /p.db"}},
      {"directory writable",
       [](Bench& b) { b.facts.policy.only_root_writes_directory = false; },
       {"warning certain policy-db-owner @ /p.db"}},
      {"a client that is not listed",
       [](Bench& b) {
         b.service({"slow/unix", "smtp"});
       },
       {"warning certain enforcing-transports @ policy.db: setting enforcing_transports"}},
      {"a program that is listed",
       [](Bench& b) { b.policy.mutable_settings().enforcing_transports.push_back("uucp"); },
       {"warning certain enforcing-transports @ policy.db: setting enforcing_transports"}},
      {"own domain not listed", [](Bench& b) { b.set("relay_domains", "branch.example"); }, {}},
      {"own domain not listed and forced",
       [](Bench& b) { b.set("relay_domains", "branch.example").row({.key = "branch.example"}); },
       {"warning certain own-domains @ policy.db: setting own_domains"}},
  });
}

TEST_CASE("doctor: at most twenty of a kind, and how many more", "[doctor]") {
  Bench bench;
  bench.bolt_on().bank();
  std::string relays;
  for (int i = 0; i < 25; ++i) relays += "[r" + std::to_string(i) + ".example] ";
  const auto found = bench.set("smtp_fallback_relay", relays).findings();
  const auto of_kind = [](const doctor::Finding& finding) {
    return finding.id == "fallback-relay";
  };
  CHECK(std::count_if(found.begin(), found.end(), of_kind) == 20);
  CHECK_THAT(found.front().what, ContainsSubstring("And 5 more of this kind."));
}

TEST_CASE("doctor: results of tables that cannot be listed", "[doctor]") {
  using Results = std::vector<std::string>;
  constexpr const char* kRegexp =
      "# a comment\n/^to: .*@a\\/b/i   FILTER smtp:[f.example]\n!/x/ DUNNO\nif /^s/\n"
      "|^from|\n   BCC all@archive.example\nendif\n/no result/\n/open";
  CHECK(doctor::results_in(kRegexp, false) ==
        Results{"FILTER smtp:[f.example]", "DUNNO", "BCC all@archive.example"});
  CHECK(doctor::results_in("192.0.2.0/24\tFILTER smtp:x\n10.0.0.1", true) ==
        Results{"FILTER smtp:x"});
  CHECK(doctor::results_in("", false).empty());
}

TEST_CASE("doctor: questions name what the checks need", "[doctor]") {
  Bench bench;
  bench.bolt_on().bank().row({.key = ".shop.example"}).row({.key = "[relay.example]"});
  bench.row({.key = "test.example", .mode = Mode::Test})
      .row({.key = "may.example", .outbound = Level::May});
  bench.row({.key = "ta.example", .outbound = Level::Secure, .tafile = "/etc/ta.pem"});
  bench.set("transport_maps", "hash:/t");
  bench.set("smtp_tls_policy_maps", "hash:/p, socketmap:unix:forcetls/map.sock:tls, hash:/q");
  bench.set("mydestination", "$myhostname, /etc/own, !/etc/not, ldap:/d");
  const auto asked = doctor::questions(bench.config(), bench.policy, "/queue", {});
  CHECK(asked.addresses == std::set<std::string>{"postmaster@bank.example",
                                                 "postmaster@forcetls-doctor.shop.example",
                                                 "postmaster@ta.example"});
  CHECK(asked.tables == std::set<std::string>{"hash:/t", "hash:/p", "hash:/q", "ldap:/d"});
  CHECK(asked.domain_tables == std::set<std::string>{"ldap:/d"});
  CHECK(asked.pattern_files == std::set<std::string>{"/etc/own"});
  CHECK(asked.policy_tables == std::set<std::string>{"hash:/p"});
  CHECK(asked.our_tables == std::set<std::string>{"socketmap:unix:forcetls/map.sock:tls"});
  CHECK(asked.keys.size() == 4);
  CHECK(asked.files ==
        std::set<std::string>{"/etc/ssl/certs/ca-certificates.crt", "/queue/etc/ta.pem"});
  CHECK(asked.sockets == std::set<doctor::SocketQuestion>{{"unix:forcetls/map.sock", true},
                                                          {"unix:forcetls/milter.sock", true, true},
                                                          {"unix:forcetls/policy.sock", true}});
}
