// The doctor's fixes, as an administrator types them.
#include "shared/mta/doctor.h"
#include "tests/unit/shared/mta/doctor_rows.h"

using namespace forcetls;

TEST_CASE("doctor: fixes are commands as an administrator types them", "[doctor]") {
  const struct {
    const char* what;
    std::function<void(Bench&)> make;
    const char* want;
  } rows[] = {
      {"main.cf", [](Bench& b) { b.set("delay_warning_time", "0"); },
       "postconf -e delay_warning_time=1h && postfix reload"},
      {"not running", [](Bench& b) { b.set("delay_warning_time", "0").facts.is_running = false; },
       "postconf -e delay_warning_time=1h"},
      {"another instance",
       [](Bench& b) {
         b.set("delay_warning_time", "0").facts.config_directory = "/etc/my postfix";
       },
       "postconf -c '/etc/my postfix' -e delay_warning_time=1h && postfix -c '/etc/my postfix' "
       "reload"},
      {"a service", [](Bench& b) { b.option("relay/unix", "smtp_tls_loglevel", "0"); },
       "postconf -P relay/unix/smtp_tls_loglevel=1 && postfix reload"},
      {"existing tables stay",
       [](Bench& b) { b.set("smtp_tls_policy_maps", "hash:/a, $b").set("b", "cdb:/b"); },
       "postconf -e 'smtp_tls_policy_maps=socketmap:unix:forcetls/map.sock:tls, hash:/a, $b, "
       "socketmap:unix:forcetls/map.sock:default' && postfix reload"},
      {"a row", [](Bench& b) { b.set("smtp_fallback_relay", "[FALL.example]:26"); },
       "sqlite3 /p.db \"INSERT INTO domain_policy(domain, outbound) VALUES ('[fall.example]:26', "
       "'secure')\""},
      {"a stricter row",
       [](Bench& b) {
         b.set("smtp_fallback_relay", "[fall.example]").row({.key = "[fall.example]"});
       },
       "sqlite3 /p.db \"UPDATE domain_policy SET outbound = 'secure', mode = 'enforce', "
       "min_protocol = 'TLSv1.2', ciphers = 'high' WHERE domain = '[fall.example]'\""},
      {"a row for the one of several that needs it",
       [](Bench& b) {
         b.route("postmaster@bank.example", "smtp", "[a.example], [b.example]");
         b.row({.key = "[a.example]", .outbound = Level::Secure});
       },
       "sqlite3 /p.db \"INSERT INTO domain_policy(domain, outbound) VALUES ('[b.example]', "
       "'secure')\""},
      {"nothing that a table holds is for the shell",
       [](Bench& b) { b.route("postmaster@bank.example", "x;reboot", "bank.example"); },
       "correct the name of the transport in transport_maps"},
      {"nor what lies in the queue",
       [](Bench& b) {
         b.facts.queued_filters = {{"A;reboot", "smtp:[f.example]"}};
       },
       "postsuper -r 'A;reboot'"},
      {"nor a name that is not one",
       [](Bench& b) {
         b.set("mydestination", "$myhostname, own.example").row({.key = "own.example"});
         b.route("postmaster@own.example", "local", "own.example");
         b.policy.mutable_settings().own_domains.push_back("a`reboot`.example");
       },
       "forcetls setup --apply"},
      {"a socket whose file is gone is made again",
       [](Bench& b) {
         b.bolt_on().facts.socket_failures[{"unix:forcetls/policy.sock", true}] = "gone";
       },
       "systemctl restart forcetls-policy.socket"},
      {"a socket that is not the package's",
       [](Bench& b) {
         b.set("smtp_tls_policy_maps", "socketmap:inet:127.0.0.1:8461:tls")
             .facts.socket_failures[{"inet:127.0.0.1:8461", true}] = "gone";
       },
       "systemctl restart forcetls-policyd"},
      {"policyd that says why it cannot answer",
       [](Bench& b) {
         b.facts.table_failures["socketmap:x:tls"] = "no policy, see the log of policyd";
       },
       "journalctl -u forcetls-policyd"},
      {"a policy that the daemons cannot read",
       [](Bench& b) { b.facts.policy.unreadable = "/p.db"; },
       "chgrp forcetls /p.db && chmod g+rX /p.db"},
      {"a directory that the daemons cannot pass",
       [](Bench& b) { b.facts.policy.unreadable = "/my srv"; },
       "keep policy_db elsewhere, or: setfacl -m g:forcetls:x '/my srv'"},
      {"a directory of ours that the daemons cannot pass",
       [](Bench& b) { b.facts.policy.unreadable = "/my srv/forcetls"; },
       "chgrp forcetls '/my srv/forcetls' && chmod g+rX '/my srv/forcetls'"},
      {"the package's own socket does not answer",
       [](Bench& b) {
         b.set("queue_directory", "/var/spool/postfix");
         b.facts.socket_failures[{"unix:forcetls/map.sock", true}] = "gone";
       },
       "systemctl restart forcetls-map.socket"},
      {"another instance's socket does not answer",
       [](Bench& b) {
         b.set("queue_directory", "/var/spool/postfix-out");
         b.facts.socket_failures[{"unix:forcetls/map.sock", true}] = "gone";
       },
       "systemctl restart forcetls-policyd"},
      {"a listener's restrictions without blanks",
       [](Bench& b) {
         b.option("smtp/inet", "smtpd_recipient_restrictions", "permit_mynetworks, reject");
       },
       "postconf -P 'smtp/inet/smtpd_recipient_restrictions=check_policy_service,"
       "{unix:forcetls/policy.sock,timeout=10s},permit_mynetworks,reject' && postfix reload"},
      {"a list with blanks in master.cf",
       [](Bench& b) {
         b.option("smtp/inet", "smtpd_milters",
                  "{ unix:forcetls/milter.sock, default_action=tempfail }, inet:filter.example:9");
       },
       "postconf -F 'smtp/inet/command=smtpd -o { smtpd_milters = { unix:forcetls/milter.sock, "
       "default_action=tempfail } }' && postfix reload"},
      {"default last",
       [](Bench& b) {
         b.set("smtp_tls_policy_maps",
               "socketmap:unix:forcetls/map.sock:tls, socketmap:unix:forcetls/map.sock:default, "
               "hash:/a");
         b.facts.settings["unlisted_relay"] = "encrypt";
       },
       "postconf -e 'smtp_tls_policy_maps=socketmap:unix:forcetls/map.sock:tls, hash:/a, "
       "socketmap:unix:forcetls/map.sock:default' && postfix reload"},
      {"rows for what a per-site table forces",
       [](Bench& b) {
         b.set("smtp_tls_per_site", "hash:/s");
         b.facts.tables["hash:/s"] = {{"a.example", "MUST"},
                                      {"b.example", "MUST_NOPEERMATCH"},
                                      {"c.example", "NONE"},
                                      {"bank.example", "MUST"},
                                      {"d'.example", "MUST"}};
       },
       "sqlite3 /p.db \"INSERT INTO domain_policy(domain, outbound) VALUES ('a.example', "
       "'verify'), ('b.example', 'encrypt')\" && postconf -X smtp_tls_per_site && postfix reload"},
      {"a listener's list with blanks inside its elements",
       [](Bench& b) {
         b.option("smtp/inet", "smtpd_milters",
                  "inet:192.0.2.8:1, { unix:forcetls/milter.sock, default_action=tempfail }");
       },
       "postconf -F 'smtp/inet/command=smtpd -o { smtpd_milters = "
       "{ unix:forcetls/milter.sock, default_action=tempfail } }' && postfix reload"},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    Bench bench;
    bench.bolt_on().bank();
    row.make(bench);
    CHECK(bench.findings().front().fix == row.want);
  }
}

TEST_CASE("doctor: names that are none enter no command", "[doctor]") {
  Bench bench;
  bench.bolt_on().set("relay_domains", "hash:/r");
  bench.facts.tables["hash:/r"] = {
      {"x.o'brien.example", "x"}, {"y.example';delete", "x"}, {"z.example", "x"}};
  CHECK(finding_of(bench, "own-domains").fix ==
        "sqlite3 /p.db \"UPDATE setting SET value = 'mail.ours.example ours.example z.example' "
        "WHERE name = 'own_domains'\"");
  bench.policy.mutable_settings().own_domains.push_back("o'brien.example");
  CHECK_THAT(finding_of(bench, "own-domains").fix, ContainsSubstring("o''brien.example"));
}
