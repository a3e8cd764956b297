// Configurations with a way around the enforcement, and what the doctor must say of each.
#include "shared/mta/doctor.h"

#include <algorithm>
#include <functional>

#include "tests/unit/catch.h"
#include "tests/unit/shared/mta/doctor_bench.h"

using namespace forcetls;
using Told = std::vector<std::string>;

namespace {

/// A healthy host with our lines and one forced row, then one change.
struct Change {
  const char* what;
  std::function<void(Bench&)> make;
  Told want;
};

void check_all(const std::vector<Change>& rows, Release release = Release::Debian12) {
  for (const Change& row : rows) {
    INFO(row.what);
    Bench bench(release);
    bench.bolt_on().bank();
    row.make(bench);
    CHECK(bench.told() == row.want);
  }
}

}  // namespace

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

TEST_CASE("doctor: routes", "[doctor]") {
  const char* const address = "postmaster@bank.example";
  const Told weak{"leak certain route-next-hop @ main.cf: relayhost"};
  check_all({
      {"relayhost in brackets",
       [&](Bench& b) {
         b.set("relayhost", "[relay.example]").route(address, "smtp", "[relay.example]");
       },
       weak},
      {"bare relayhost",
       [&](Bench& b) {
         b.set("relayhost", "relay.example").route(address, "smtp", "relay.example");
       },
       weak},
      {"relayhost with a row too weak",
       [&](Bench& b) {
         b.set("relayhost", "[relay.example]").route(address, "smtp", "[relay.example]");
         b.row({.key = "[relay.example]", .outbound = Level::Encrypt});
       },
       weak},
      {"relayhost with a row as strong",
       [&](Bench& b) {
         b.set("relayhost", "[relay.example]").route(address, "smtp", "[relay.example]");
         b.row({.key = "[relay.example]", .outbound = Level::Secure});
       },
       {}},
      {"relayhost on loopback",
       [&](Bench& b) {
         b.set("relayhost", "[127.0.0.1]:2525").route(address, "smtp", "[127.0.0.1]:2525");
       },
       {}},
      {"several relays, each with a row as strong",
       [&](Bench& b) {
         b.set("relayhost", "[a.example], b.example:587")
             .route(address, "smtp", "[a.example], b.example:587")
             .row({.key = "[a.example]", .outbound = Level::Secure})
             .row({.key = "b.example:587", .outbound = Level::Secure});
       },
       {}},
      {"several relays, one without a row",
       [&](Bench& b) {
         b.set("relayhost", "[a.example], b.example:587")
             .route(address, "smtp", "[a.example], b.example:587")
             .row({.key = "[a.example]", .outbound = Level::Secure});
       },
       weak},
      {"several relays, of which only the first is here",
       [&](Bench& b) {
         b.set("relayhost", "[127.0.0.1]:2525, [relay.example]")
             .route(address, "smtp", "[127.0.0.1]:2525, [relay.example]");
       },
       weak},
      {"a relay here, then something with a slash",
       [&](Bench& b) {
         b.set("relayhost", "[relay.example], a/b").route(address, "smtp", "[relay.example], a/b");
       },
       weak},
      {"Postfix runs, and does not tell the route",
       [](Bench& b) {
         b.facts.routes.clear();
         b.route("postmaster@other.example", "smtp", "other.example");
       },
       {"warning possible route-next-hop @ main.cf: transport_maps"}},
      {"relayhost, Postfix not running",
       [](Bench& b) {
         b.facts.is_running = false;
         b.set("relayhost", "[relay.example]").facts.routes.clear();
       },
       {"leak likely route-next-hop @ main.cf: relayhost"}},
      {"routes that Postfix cannot tell",
       [](Bench& b) { b.facts.routes.clear(); },
       {"warning possible route-next-hop @ main.cf: transport_maps"}},
      {"transport map",
       [&](Bench& b) { b.route(address, "smtp", "[gate.example]"); },
       {"leak certain route-next-hop @ main.cf: transport_maps"}},
      {"transport map for a user",
       [](Bench& b) {
         b.set("transport_maps", "hash:/t");
         b.facts.tables["hash:/t"] = {{"u@bank.example", "smtp:[gate.example]"}};
       },
       {"leak certain route-next-hop @ main.cf: transport_maps: hash:/t: u@bank.example"}},
      {"transport map for others",
       [](Bench& b) {
         b.set("transport_maps", "hash:/t");
         b.facts.tables["hash:/t"] = {{"lan.example", "smtp:[10.0.0.1]"},
                                      {"u@lan.example", "smtp:[x]"}};
       },
       {}},
      {"clone without our map",
       [&](Bench& b) {
         b.service({"clone/unix", "smtp", true, {{"smtp_tls_policy_maps", ""}}});
         b.route(address, "clone", "bank.example");
       },
       {"leak certain service-policy-map @ master.cf: clone/unix: -o smtp_tls_policy_maps",
        "leak certain route-transport @ master.cf: clone/unix"}},
      {"a program",
       [&](Bench& b) { b.route(address, "uucp", "bank.example"); },
       {"leak possible route-transport @ master.cf: uucp/unix"}},
      {"no such transport",
       [&](Bench& b) { b.route(address, "gone", "bank.example"); },
       {"warning certain route-transport @ master.cf: gone/unix"}},
      {"delivered here", [&](Bench& b) { b.route(address, "local", "bank.example"); }, {}},
      {"refused", [&](Bench& b) { b.route(address, "error", "no such partner"); }, {}},
      {"LMTP elsewhere",
       [&](Bench& b) { b.route(address, "lmtp", "inet:store.example:24"); },
       {"leak certain lmtp-elsewhere @ main.cf: transport_maps"}},
      {"LMTP elsewhere with a row",
       [&](Bench& b) {
         b.route(address, "lmtp", "inet:store.example:24");
         b.row({.key = "store.example:24", .outbound = Level::Secure});
       },
       {}},
      {"LMTP elsewhere without our map",
       [&](Bench& b) {
         b.route(address, "lmtp", "inet:store.example:24").set("lmtp_tls_policy_maps", "");
         b.row({.key = "store.example:24", .outbound = Level::Secure});
       },
       {"leak certain lmtp-policy-map @ main.cf: lmtp_tls_policy_maps",
        "leak certain lmtp-elsewhere @ main.cf: transport_maps"}},
      {"LMTP here", [&](Bench& b) { b.route(address, "lmtp", "unix:private/dovecot-lmtp"); }, {}},
      {"LMTP for own mailboxes",
       [](Bench& b) { b.set("virtual_transport", "lmtp:inet:store.example:24"); },
       {}},
      {"fallback",
       [](Bench& b) { b.set("smtp_fallback_relay", "[fall.example], 127.0.0.1:26"); },
       {"leak certain fallback-relay @ main.cf: smtp_fallback_relay"}},
      {"old fallback",
       [](Bench& b) { b.set("fallback_relay", "fall.example"); },
       {"leak certain fallback-relay @ main.cf: smtp_fallback_relay"}},
      {"fallback of one service",
       [](Bench& b) { b.option("relay/unix", "smtp_fallback_relay", "[fall.example]"); },
       {"leak certain fallback-relay @ master.cf: relay/unix: -o smtp_fallback_relay"}},
      {"fallback of LMTP",
       [](Bench& b) { b.set("lmtp_fallback_relay", "[fall.example]"); },
       {"leak certain fallback-relay @ main.cf: lmtp_fallback_relay"}},
      {"sender's relay",
       [](Bench& b) {
         b.set("sender_dependent_relayhost_maps", "hash:/s");
         b.facts.tables["hash:/s"] = {{"@a.example", "[out.example]"},
                                      {"@b.example", "[out.example]"},
                                      {"@c.example", "DUNNO"}};
       },
       {"leak likely sender-route @ main.cf: sender_dependent_relayhost_maps: hash:/s"}},
      {"sender's relays that cannot be listed",
       [](Bench& b) { b.set("sender_dependent_relayhost_maps", "ldap:/s"); },
       {}},
      {"sender's transport",
       [](Bench& b) {
         b.set("sender_dependent_default_transport_maps", "hash:/s");
         b.facts.tables["hash:/s"] = {{"@a.example", "smtp:[out.example]:26"},
                                      {"@b.example", "smtp:"}};
       },
       {"leak likely sender-route @ main.cf: sender_dependent_default_transport_maps: hash:/s"}},
  });
}

TEST_CASE("doctor: copies", "[doctor]") {
  check_all({
      {"content filter",
       [](Bench& b) { b.set("content_filter", "smtp:[filter.example]:10025"); },
       {"leak certain content-filter @ main.cf: content_filter"}},
      {"content filter of one listener",
       [](Bench& b) { b.option("smtp/inet", "content_filter", "smtp:[filter.example]"); },
       {"leak certain content-filter @ master.cf: smtp/inet: -o content_filter"}},
      {"content filter here",
       [](Bench& b) { b.set("content_filter", "smtp:[127.0.0.1]:10024"); },
       {}},
      {"content filter that is a program",
       [](Bench& b) { b.set("content_filter", "uucp:dummy"); },
       {}},
      {"content filter with a row",
       [](Bench& b) {
         b.set("content_filter", "smtp:[filter.example]:10025");
         b.row({.key = "[filter.example]:10025", .outbound = Level::Secure});
       },
       {}},
      {"proxy filter",
       [](Bench& b) { b.set("smtpd_proxy_filter", "10.0.0.1:10024"); },
       {"leak certain proxy-filter @ main.cf: smtpd_proxy_filter"}},
      {"proxy filter inet:",
       [](Bench& b) { b.set("smtpd_proxy_filter", "inet:filter.example:10024"); },
       {"leak certain proxy-filter @ main.cf: smtpd_proxy_filter"}},
      {"proxy filter here", [](Bench& b) { b.set("smtpd_proxy_filter", "127.0.0.1:10024"); }, {}},
      {"proxy filter port", [](Bench& b) { b.set("smtpd_proxy_filter", "10024"); }, {}},
      {"proxy filter socket", [](Bench& b) { b.set("smtpd_proxy_filter", "unix:private/f"); }, {}},
      {"always_bcc elsewhere",
       [](Bench& b) { b.set("always_bcc", "all@archive.example"); },
       {"leak certain bcc-copy @ main.cf: always_bcc"}},
      {"always_bcc here", [](Bench& b) { b.set("always_bcc", "all@localhost"); }, {}},
      {"always_bcc to a user", [](Bench& b) { b.set("always_bcc", "archive"); }, {}},
      {"always_bcc routed to a mailbox",
       [](Bench& b) {
         b.set("always_bcc", "all@v.example").route("all@v.example", "virtual", "v.example");
       },
       {}},
      {"always_bcc as strong", [](Bench& b) { b.set("always_bcc", "all@bank.example"); }, {}},
      {"bcc map",
       [](Bench& b) {
         b.set("recipient_bcc_maps", "hash:/b");
         b.facts.tables["hash:/b"] = {
             {"a", "x@archive.example"}, {"b", "y@archive.example"}, {"c", "z@bank.example"}};
       },
       {"leak likely bcc-copy @ main.cf: recipient_bcc_maps: hash:/b"}},
      {"milter elsewhere",
       [](Bench& b) { b.set("smtpd_milters", "unix:forcetls/milter.sock, inet:10.0.0.1:11332"); },
       {"leak certain milter-elsewhere @ main.cf: smtpd_milters"}},
      {"milters here",
       [](Bench& b) {
         b.set("smtpd_milters",
               "unix:forcetls/milter.sock, inet:localhost:8891, { inet:127.0.0.1:11332 }");
       },
       {}},
      {"FILTER in an access table",
       [](Bench& b) {
         b.set("smtpd_sender_restrictions", "check_sender_access hash:/a, permit");
         b.facts.actions["hash:/a"] = {"OK", "filter smtp:[f.example]:26",
                                       "FILTER smtp:[127.0.0.1]:26"};
       },
       {"leak likely content-filter @ main.cf: smtpd_sender_restrictions: hash:/a"}},
      {"FILTER in a listener's class of restrictions",
       [](Bench& b) {
         b.set("smtpd_restriction_classes", "mine").set("mine", "check_client_access cidr:/a");
         b.facts.actions["cidr:/a"] = {"FILTER smtp:f.example"};
       },
       {"leak likely content-filter @ main.cf: mine: cidr:/a"}},
      {"FILTER and BCC in header checks",
       [](Bench& b) {
         b.set("header_checks", "regexp:/h");
         b.facts.actions["regexp:/h"] = {"FILTER smtp:[f.example]", "BCC all@archive.example"};
       },
       {"leak likely content-filter @ main.cf: header_checks: regexp:/h",
        "leak likely bcc-copy @ main.cf: header_checks: regexp:/h"}},
      {"FILTER that keeps the recipient's domain, and one with a row",
       [](Bench& b) {
         b.set("header_checks", "regexp:/h");
         b.facts.actions["regexp:/h"] = {"FILTER smtp:", "FILTER smtp:bank.example"};
       },
       {}},
      {"queued filter",
       [](Bench& b) {
         b.facts.queued_filters = {{"ABC", "smtp:[f.example]"}};
       },
       {"leak certain queued-filter @ queue: ABC"}},
      {"queued filter here",
       [](Bench& b) {
         b.facts.queued_filters = {{"ABC", "smtp:[127.0.0.1]:26"}};
       },
       {}},
  });
}

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

TEST_CASE("doctor: sockets", "[doctor]") {
  const doctor::SocketQuestion map{"unix:forcetls/map.sock", true};
  const doctor::SocketQuestion outside{"unix:/run/forcetls/map.sock", true};
  const std::string table = "socketmap:unix:/run/forcetls/map.sock:tls";
  check_all({
      {"nobody listens",
       [&](Bench& b) { b.facts.socket_failures[map] = "Connection refused"; },
       {"warning certain policyd-unreachable @ main.cf: smtp_tls_policy_maps",
        "warning certain policyd-unreachable @ main.cf: lmtp_tls_policy_maps"}},
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
         b.set("mydestination", "$myhostname, a`reboot`.example")
             .row({.key = "a`reboot`.example"})
             .route("postmaster@a`reboot`.example", "local", "a`reboot`.example");
       },
       "forcetls setup --apply"},
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
  bench.set("transport_maps", "hash:/t").set("always_bcc", "a@b.example");
  bench.set("smtp_tls_policy_maps", "hash:/p, socketmap:unix:forcetls/map.sock:tls, hash:/q");
  const auto asked = doctor::questions(bench.config(), bench.policy, "/queue", {});
  CHECK(asked.addresses == std::set<std::string>{"a@b.example", "postmaster@bank.example",
                                                 "postmaster@forcetls-doctor.shop.example",
                                                 "postmaster@ta.example"});
  CHECK(asked.tables == std::set<std::string>{"hash:/t", "hash:/p"});
  CHECK(asked.policy_tables == std::set<std::string>{"hash:/p"});
  CHECK(asked.our_tables == std::set<std::string>{"socketmap:unix:forcetls/map.sock:tls"});
  CHECK(asked.keys.size() == 4);
  CHECK(asked.files ==
        std::set<std::string>{"/etc/ssl/certs/ca-certificates.crt", "/queue/etc/ta.pem"});
  CHECK(asked.sockets == std::set<doctor::SocketQuestion>{{"unix:forcetls/map.sock", true},
                                                          {"unix:forcetls/milter.sock", true},
                                                          {"unix:forcetls/policy.sock", true}});
}
