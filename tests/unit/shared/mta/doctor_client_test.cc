// What the mail clients remember and trust, and what comes in: what the doctor must say of it.
#include "shared/mta/doctor.h"
#include "tests/unit/shared/mta/doctor_rows.h"

using namespace forcetls;

TEST_CASE("doctor: what the client remembers and makes of failures", "[doctor]") {
  check_all({
      {"cache on demand",
       [](Bench& b) { b.unset("smtp_connection_cache_on_demand"); },
       {"leak certain connection-cache @ main.cf: smtp_connection_cache_on_demand"}},
      {"cache on demand of a service",
       [](Bench& b) { b.option("relay/unix", "smtp_connection_cache_on_demand", "yes"); },
       {"leak certain connection-cache @ master.cf: relay/unix: -o "
        "smtp_connection_cache_on_demand"}},
      {"cache for a destination",
       [](Bench& b) { b.set("smtp_connection_cache_destinations", "bank.example"); },
       {"leak certain connection-cache @ main.cf: smtp_connection_cache_destinations"}},
      {"connection cache of LMTP, which goes nowhere",
       [](Bench& b) { b.set("lmtp_connection_cache_on_demand", "yes"); },
       {}},
      {"connection cache of LMTP to another host",
       [](Bench& b) {
         b.set("lmtp_connection_cache_on_demand", "yes");
         b.route("postmaster@bank.example", "lmtp", "inet:store.example:24");
         b.row({.key = "store.example:24", .outbound = Level::Secure});
       },
       {"leak certain connection-cache @ main.cf: lmtp_connection_cache_on_demand"}},
      {"session cache of lmtp",
       [](Bench& b) { b.set("lmtp_tls_session_cache_database", "btree:/x"); },
       {"leak certain session-cache @ main.cf: lmtp_tls_session_cache_database"}},
      {"reuse without tlsproxy",
       [](Bench& b) { b.set("smtp_tls_connection_reuse", "yes"); },
       {"warning certain connection-reuse @ main.cf: smtp_tls_connection_reuse"}},
      {"reuse with tlsproxy",
       [](Bench& b) {
         b.set("smtp_tls_connection_reuse", "yes").service({"tlsproxy/unix", "tlsproxy"});
       },
       {}},
      {"no status filter",
       [](Bench& b) { b.unset("smtp_delivery_status_filter"); },
       {"warning certain starttls-5xx @ main.cf: smtp_delivery_status_filter"}},
      {"a status filter that lets it bounce",
       [](Bench& b) {
         b.set("smtp_delivery_status_filter", "pcre:/x").facts.status_answers["pcre:/x"] = "";
       },
       {"warning certain starttls-5xx @ main.cf: smtp_delivery_status_filter"}},
      {"another status filter that does it",
       [](Bench& b) {
         b.set("smtp_delivery_status_filter", "hash:/y, pcre:/x").facts.status_answers["pcre:/x"] =
             "4.5.1 x";
       },
       {}},
      {"bounces by default",
       [](Bench& b) { b.unset("bounce_size_limit"); },
       {"leak certain bounce-bodies @ main.cf: bounce_size_limit"}},
      {"bounces as decided", [](Bench& b) { b.set("bounce_size_limit", "20000"); }, {}},
      {"no warning",
       [](Bench& b) { b.set("delay_warning_time", "0"); },
       {"warning certain silent-deferral @ main.cf: delay_warning_time"}},
      {"no log",
       [](Bench& b) { b.option("smtp/unix", "smtp_tls_loglevel", "0"); },
       {"warning certain tls-loglevel @ master.cf: smtp/unix: -o smtp_tls_loglevel"}},
  });
  check_all(
      {{"TLS-Required",
        [](Bench& b) { b.unset("tls_required_enable"); },
        {"leak certain tls-required-header @ main.cf: tls_required_enable"}},
       {"TLS-Required of a service",
        [](Bench& b) { b.option("relay/unix", "tls_required_enable", "yes"); },
        {"leak certain tls-required-header @ master.cf: relay/unix: -o tls_required_enable"}}},
      Release::Debian13);
}

TEST_CASE("doctor: trust", "[doctor]") {
  const std::string inside = "/var/spool/postfix/etc/ta.pem";
  const std::string digest(95, 'A');
  check_all({
      {"no store",
       [](Bench& b) { b.set("smtp_tls_CAfile", "").set("smtp_tls_CApath", ""); },
       {"warning certain ca-store @ main.cf: smtp_tls_CAfile"}},
      {"the store is missing",
       [](Bench& b) { b.facts.missing_files = {"/etc/ssl/certs/ca-certificates.crt"}; },
       {"warning certain ca-store @ main.cf: smtp_tls_CAfile"}},
      {"OpenSSL's store",
       [](Bench& b) {
         b.set("smtp_tls_CAfile", "")
             .set("smtp_tls_CApath", "")
             .set("tls_append_default_CA", "yes");
       },
       {}},
      {"trust anchor not in the chroot",
       [&](Bench& b) {
         b.row({.key = "ta.example", .outbound = Level::Secure, .tafile = "/etc/ta.pem"});
         b.facts.missing_files = {inside};
       },
       {"warning certain tafile-chroot @ policy.db: tafile = '/etc/ta.pem'"}},
      {"trust anchor in the chroot",
       [](Bench& b) {
         b.row({.key = "ta.example", .outbound = Level::Secure, .tafile = "/etc/ta.pem"});
       },
       {}},
      {"DANE without DNSSEC",
       [](Bench& b) { b.row({.key = "d.example", .outbound = Level::DaneOnly}); },
       {"warning certain dane-dnssec @ main.cf: smtp_dns_support_level"}},
      {"DANE with DNSSEC",
       [](Bench& b) {
         b.row({.key = "d.example", .outbound = Level::DaneOnly})
             .set("smtp_dns_support_level", "dnssec");
       },
       {}},
      {"digests of another length",
       [&](Bench& b) {
         b.row({.key = "f.example", .outbound = Level::Fingerprint, .match = digest});
         b.set("smtp_tls_fingerprint_digest", "sha1");
       },
       {"warning certain fingerprint-digest @ main.cf: smtp_tls_fingerprint_digest"}},
      {"digests that fit",
       [&](Bench& b) {
         b.row(
             {.key = "f.example", .outbound = Level::Fingerprint, .match = digest + "|" + digest});
       },
       {}},
      {"ciphers excluded",
       [](Bench& b) { b.set("smtp_tls_mandatory_exclude_ciphers", "RC4, 3DES"); },
       {"warning certain floor-not-recorded @ policy.db: setting floor_exclude"}},
      {"ciphers excluded and recorded",
       [](Bench& b) {
         b.set("smtp_tls_mandatory_exclude_ciphers", "RC4, 3DES");
         b.facts.settings["floor_exclude"] = "3DES:RC4:MD5";
       },
       {}},
      {"protocols",
       [](Bench& b) { b.set("smtp_tls_mandatory_protocols", ">=TLSv1.3"); },
       {"warning certain floor-not-recorded @ policy.db: setting floor_min_protocol"}},
      {"protocols, the old way",
       [](Bench& b) {
         b.set("smtp_tls_mandatory_protocols", "!SSLv2 !SSLv3 !TLSv1 !TLSv1.1 !TLSv1.2");
       },
       {"warning certain floor-not-recorded @ policy.db: setting floor_min_protocol"}},
      {"protocols that Postfix allows by itself",
       [](Bench& b) { b.set("smtp_tls_mandatory_protocols", "!SSLv2, !SSLv3"); },
       {}},
      {"protocols recorded",
       [](Bench& b) {
         b.set("smtp_tls_mandatory_protocols", ">=TLSv1.3");
         b.facts.settings["floor_min_protocol"] = "TLSv1.3";
       },
       {}},
      {"grade",
       [](Bench& b) { b.set("smtp_tls_mandatory_ciphers", "high"); },
       {"warning certain floor-not-recorded @ policy.db: setting floor_ciphers"}},
  });
}

TEST_CASE("doctor: a narrowed list of ciphers that rows would not go by", "[doctor]") {
  const Told narrowed{"warning possible floor-not-recorded @ main.cf: tls_medium_cipherlist"};
  check_all({
      {"medium, rows ask for high",
       [](Bench& b) { b.set("tls_medium_cipherlist", "ECDHE+AESGCM"); }, narrowed},
      {"without some ciphers",
       [](Bench& b) { b.set("tls_medium_cipherlist", "HIGH:MEDIUM:!SHA1"); }, narrowed},
      {"wider", [](Bench& b) { b.set("tls_medium_cipherlist", "HIGH:MEDIUM:LOW"); }, {}},
      {"high, too",
       [](Bench& b) {
         b.set("tls_medium_cipherlist", "ECDHE+AESGCM").set("tls_high_cipherlist", "ECDHE+AESGCM");
       },
       {}},
      {"medium, which nothing forced used",
       [](Bench& b) {
         b.set("tls_medium_cipherlist", "ECDHE+AESGCM").set("smtp_tls_mandatory_ciphers", "high");
         b.facts.settings["floor_ciphers"] = "high";
       },
       {}},
      {"high only, which rows ask for",
       [](Bench& b) { b.set("tls_high_cipherlist", "ECDHE+AESGCM"); },
       {}},
      {"of one service",
       [](Bench& b) { b.option("relay/unix", "tls_medium_cipherlist", "ECDHE+AESGCM"); },
       {"warning possible floor-not-recorded @ master.cf: relay/unix: -o tls_medium_cipherlist"}},
      {"used by one service",
       [](Bench& b) {
         b.set("tls_low_cipherlist", "ECDHE+AESGCM");
         b.option("relay/unix", "smtp_tls_mandatory_ciphers", "low");
       },
       {"warning possible floor-not-recorded @ master.cf: relay/unix: -o tls_low_cipherlist"}},
  });
  Bench bench;
  bench.bolt_on().set("tls_medium_cipherlist", "ECDHE+AESGCM");
  bench.row({.key = "bank.example", .ciphers = CipherGrade::Medium});
  CHECK(bench.told().empty());
  bench.row({.key = "other.example"});
  CHECK(finding_of(bench, "floor-not-recorded").fix ==
        "postconf -e tls_high_cipherlist=ECDHE+AESGCM && postfix reload");
}

TEST_CASE("doctor: admission", "[doctor]") {
  const std::string ours = "check_policy_service unix:forcetls/policy.sock";
  const Told not_first{
      "warning certain policy-service-not-first @ main.cf: smtpd_recipient_restrictions"};
  const BenchService submission{
      "submission/inet",
      "smtpd",
      true,
      {{"smtpd_recipient_restrictions", "permit_sasl_authenticated,reject"},
       {"smtpd_tls_security_level", "encrypt"}}};
  const BenchService inner{"127.0.0.1:10025/inet",
                           "smtpd",
                           false,
                           {{"smtpd_recipient_restrictions", "permit_mynetworks,reject"},
                            {"smtpd_milters", ""},
                            {"receive_override_options", "no_milters"},
                            {"content_filter", ""}}};
  check_all({
      {"policy service behind rejects",
       [&](Bench& b) {
         b.set("smtpd_recipient_restrictions", "reject_unauth_destination, " + ours);
       },
       {}},
      {"policy service behind a permit",
       [&](Bench& b) { b.set("smtpd_recipient_restrictions", "permit_mynetworks " + ours); },
       not_first},
      {"policy service behind a table",
       [&](Bench& b) {
         b.set("smtpd_recipient_restrictions", "check_client_access hash:/a, " + ours);
       },
       {"warning possible policy-service-not-first @ main.cf: smtpd_recipient_restrictions"}},
      {"submission without",
       [&](Bench& b) { b.service(submission); },
       {"warning certain policy-service-missing @ master.cf: submission/inet: -o "
        "smtpd_recipient_restrictions"}},
      {"a content filter's way back", [&](Bench& b) { b.service(inner); }, {}},
      {"policy service that fails open",
       [](Bench& b) {
         b.set("smtpd_recipient_restrictions",
               "check_policy_service { unix:forcetls/policy.sock, default_action=DUNNO }");
       },
       {"warning certain policy-service-default-action @ main.cf: smtpd_recipient_restrictions"}},
      {"policy services that fail open",
       [&](Bench& b) {
         b.set("smtpd_recipient_restrictions", ours)
             .set("smtpd_policy_service_default_action", "DUNNO");
       },
       {"warning certain policy-service-default-action @ main.cf: "
        "smtpd_policy_service_default_action"}},
      {"submission in clear",
       [](Bench& b) {
         b.service({"submission/inet", "smtpd"});
       },
       {"warning certain submission-clear @ master.cf: submission/inet"}},
      {"submission in clear by number",
       [](Bench& b) {
         b.service({"192.0.2.1:587/inet", "smtpd"});
       },
       {"warning certain submission-clear @ master.cf: 192.0.2.1:587/inet"}},
      {"submission in clear here",
       [](Bench& b) {
         b.service({"127.0.0.1:587/inet", "smtpd"});
       },
       {}},
      {"submissions",
       [](Bench& b) {
         b.service({"submissions/inet", "smtpd", true, {{"smtpd_tls_wrappermode", "yes"}}});
       },
       {}},
      {"no milter",
       [](Bench& b) { b.set("smtpd_milters", "inet:127.0.0.1:8891"); },
       {"warning certain milter-missing @ main.cf: smtpd_milters"}},
      {"no milter for local mail",
       [](Bench& b) { b.unset("non_smtpd_milters"); },
       {"warning certain milter-missing @ main.cf: non_smtpd_milters"}},
      {"milter skipped",
       [](Bench& b) { b.set("receive_override_options", "no_header_body_checks, no_milters"); },
       {"warning certain milter-skipped @ main.cf: receive_override_options"}},
      {"milter fails open",
       [](Bench& b) {
         b.set("smtpd_milters", "{ unix:forcetls/milter.sock, default_action=accept }");
       },
       {"warning certain milter-default-action @ main.cf: smtpd_milters"}},
      {"milters fail open",
       [](Bench& b) {
         b.set("smtpd_milters", "unix:forcetls/milter.sock").set("milter_default_action", "accept");
       },
       {"warning certain milter-default-action @ main.cf: smtpd_milters"}},
  });
}

TEST_CASE("doctor: STARTTLS that Postfix does not see", "[doctor]") {
  const char* const kMaps = "smtp_discard_ehlo_keyword_address_maps";
  const Told everywhere{"warning certain starttls-discarded @ main.cf: smtp_discard_ehlo_keywords"};
  const Told in_table{
      "warning possible starttls-discarded @ main.cf: smtp_discard_ehlo_keyword_address_maps"};
  check_all({
      {"discarded", [](Bench& b) { b.set("smtp_discard_ehlo_keywords", "starttls"); }, everywhere},
      {"among others",
       [](Bench& b) { b.set("smtp_discard_ehlo_keywords", "dsn,STARTTLS silent-discard"); },
       everywhere},
      {"others only", [](Bench& b) { b.set("smtp_discard_ehlo_keywords", "chunking, dsn"); }, {}},
      {"by one service",
       [](Bench& b) { b.option("relay/unix", "smtp_discard_ehlo_keywords", "starttls"); },
       {"warning certain starttls-discarded @ master.cf: relay/unix: -o "
        "smtp_discard_ehlo_keywords"}},
      {"of some servers",
       [=](Bench& b) {
         b.set(kMaps, "cidr:/d").facts.actions["cidr:/d"] = {"dsn", "starttls"};
       },
       in_table},
      {"other words of some servers",
       [=](Bench& b) { b.set(kMaps, "cidr:/d").facts.actions["cidr:/d"] = {"pipelining"}; },
       {}},
      {"HELO only",
       [](Bench& b) { b.set("smtp_never_send_ehlo", "yes"); },
       {"warning certain starttls-discarded @ main.cf: smtp_never_send_ehlo"}},
      {"by LMTP, which nothing forced uses",
       [](Bench& b) { b.set("lmtp_discard_ehlo_keywords", "starttls"); },
       {}},
      {"by LMTP",
       [](Bench& b) {
         b.set("lmtp_discard_ehlo_keywords", "starttls")
             .route("postmaster@bank.example", "lmtp", "inet:store.example:24")
             .row({.key = "store.example:24", .outbound = Level::Secure});
       },
       {"warning certain starttls-discarded @ main.cf: lmtp_discard_ehlo_keywords"}},
  });
  Bench bench;
  bench.bolt_on().bank().set("smtp_discard_ehlo_keywords", "dsn,starttls silent-discard");
  CHECK(finding_of(bench, "starttls-discarded").fix ==
        "postconf -e 'smtp_discard_ehlo_keywords=dsn, silent-discard' && postfix reload");
  bench.unset("smtp_discard_ehlo_keywords").set(kMaps, "ldap:/d");
  CHECK(finding_of(bench, "table-not-examined").where ==
        std::string("main.cf: ") + kMaps + ": ldap:/d");
}
