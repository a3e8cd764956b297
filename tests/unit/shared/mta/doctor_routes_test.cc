// Ways by which mail leaves for another host, and what the doctor must say of each.
#include "shared/mta/doctor.h"
#include "tests/unit/shared/mta/doctor_rows.h"

using namespace forcetls;

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
       {"warning possible loopback-route @ main.cf: relayhost"}},
      {"relayhost on loopback, with a row: a note",
       [&](Bench& b) {
         b.set("relayhost", "[127.0.0.1]:2525").route(address, "smtp", "[127.0.0.1]:2525");
         b.row({.key = "[127.0.0.1]:2525", .outbound = Level::None});
       },
       {}},
      {"relayhost on loopback, with a row for another port",
       [&](Bench& b) {
         b.set("relayhost", "[127.0.0.1]:2525").route(address, "smtp", "[127.0.0.1]:2525");
         b.row({.key = "[127.0.0.1]:2526", .outbound = Level::None});
       },
       {"warning possible loopback-route @ main.cf: relayhost"}},
      {"relayhost on loopback, Postfix not running",
       [](Bench& b) {
         b.facts.is_running = false;
         b.set("relayhost", "[127.0.0.1]:2525").facts.routes.clear();
       },
       {"warning possible loopback-route @ main.cf: relayhost"}},
      {"relayhost is Postfix itself",
       [&](Bench& b) { b.set("relayhost", "[127.0.0.1]").route(address, "smtp", "[127.0.0.1]"); },
       {}},
      {"relayhost is a listener of Postfix",
       [&](Bench& b) {
         b.service({"[::1]:10025/inet", "smtpd"});
         b.set("relayhost", "[::1]:10025").route(address, "smtp", "[::1]:10025");
       },
       {}},
      {"relayhost is a port where Postfix listens for others only",
       [&](Bench& b) {
         b.service({"192.0.2.1:10025/inet", "smtpd"});
         b.set("relayhost", "[127.0.0.1]:10025").route(address, "smtp", "[127.0.0.1]:10025");
       },
       {"warning possible loopback-route @ main.cf: relayhost"}},
      {"relayhost is the port of Postfix, which does not listen on loopback",
       [&](Bench& b) {
         b.set("inet_interfaces", "192.0.2.1").set("relayhost", "localhost:smtp");
         b.route(address, "smtp", "localhost:smtp");
       },
       {"warning possible loopback-route @ main.cf: relayhost"}},
      {"relayhost of trivial-rewrite alone",
       [&](Bench& b) {
         b.option("rewrite/unix", "relayhost", "[relay.example]");
         b.route(address, "smtp", "[relay.example]");
       },
       {"leak certain route-next-hop @ master.cf: rewrite/unix: -o relayhost"}},
      {"relayhost of trivial-rewrite alone, Postfix not running",
       [](Bench& b) {
         b.facts.is_running = false;
         b.option("rewrite/unix", "relayhost", "[relay.example]").facts.routes.clear();
       },
       {"leak likely route-next-hop @ master.cf: rewrite/unix: -o relayhost"}},
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
       {weak.front(), "warning possible loopback-route @ main.cf: transport_maps"}},
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
      {"transport map of trivial-rewrite for a user",
       [](Bench& b) {
         b.option("rewrite/unix", "transport_maps", "hash:/t");
         b.facts.tables["hash:/t"] = {{"u@bank.example", "smtp:[gate.example]"}};
       },
       {"leak certain route-next-hop @ master.cf: rewrite/unix: -o transport_maps: hash:/t: "
        "u@bank.example"}},
      {"transport map for a user, to loopback",
       [](Bench& b) {
         b.set("transport_maps", "hash:/t");
         b.facts.tables["hash:/t"] = {{"u@bank.example", "smtp:[127.0.0.1]:2525"}};
       },
       {"warning possible loopback-route @ main.cf: transport_maps: hash:/t: u@bank.example"}},
      {"transport map for a user, by LMTP",
       [](Bench& b) {
         b.set("transport_maps", "hash:/t");
         b.facts.tables["hash:/t"] = {{"u@bank.example", "lmtp:inet:store.example:24"}};
       },
       {"leak certain lmtp-elsewhere @ main.cf: transport_maps: hash:/t: u@bank.example"}},
      {"transport map for a user, by LMTP to a hop with a row, and here",
       [](Bench& b) {
         b.set("transport_maps", "hash:/t");
         b.row({.key = "store.example:24", .outbound = Level::Secure});
         b.facts.tables["hash:/t"] = {{"u@bank.example", "lmtp:inet:store.example:24"},
                                      {"v@bank.example", "lmtp:unix:private/dovecot-lmtp"}};
       },
       {}},
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
       {"leak certain fallback-relay @ main.cf: smtp_fallback_relay",
        "warning possible loopback-route @ main.cf: smtp_fallback_relay"}},
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
      {"sender's relay of trivial-rewrite, and one on loopback",
       [](Bench& b) {
         b.option("rewrite/unix", "sender_dependent_relayhost_maps", "hash:/s");
         b.facts.tables["hash:/s"] = {{"@a.example", "[out.example]"},
                                      {"@b.example", "[127.0.0.1]:26"}};
       },
       {"leak likely sender-route @ master.cf: rewrite/unix: -o sender_dependent_relayhost_maps: "
        "hash:/s",
        "warning possible loopback-route @ master.cf: rewrite/unix: -o "
        "sender_dependent_relayhost_maps: hash:/s"}},
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

TEST_CASE("doctor: what is handed to a program on an address of this host", "[doctor]") {
  const char* const address = "postmaster@bank.example";
  const auto own = [](Bench& b) {
    b.facts.host_addresses = {"127.0.0.1", "192.0.2.25", "2001:db8::25"};
    return &b;
  };
  check_all({
      {"content filter",
       [&](Bench& b) { own(b)->set("content_filter", "smtp:[192.0.2.25]:10025"); },
       {}},
      {"content filter by IPv6",
       [&](Bench& b) { own(b)->set("content_filter", "smtp:[ipv6:2001:DB8:0::25]:10025"); },
       {}},
      {"content filter on a neighbour",
       [&](Bench& b) { own(b)->set("content_filter", "smtp:[192.0.2.2]:10025"); },
       {"leak certain content-filter @ main.cf: content_filter"}},
      {"content filter here and on a neighbour",
       [&](Bench& b) { own(b)->set("content_filter", "smtp:[192.0.2.25]:26,[192.0.2.2]:26"); },
       {"leak certain content-filter @ main.cf: content_filter"}},
      {"proxy filter",
       [&](Bench& b) { own(b)->set("smtpd_proxy_filter", "192.0.2.25:10024"); },
       {}},
      {"milter",
       [&](Bench& b) {
         own(b)->set("smtpd_milters",
                     "unix:forcetls/milter.sock, inet:192.0.2.25:11332, "
                     "inet6:11332@2001:db8::25");
       },
       {}},
      {"LMTP", [&](Bench& b) { own(b)->route(address, "lmtp", "inet:192.0.2.25:24"); }, {}},
      {"LMTP to a neighbour",
       [&](Bench& b) { own(b)->route(address, "lmtp", "inet:192.0.2.2:24"); },
       {"leak certain lmtp-elsewhere @ main.cf: transport_maps"}},
      {"a forced domain is not delivered by being sent to ourselves",
       [&](Bench& b) { own(b)->route(address, "smtp", "[192.0.2.25]:2525"); },
       {"leak certain route-next-hop @ main.cf: transport_maps"}},
      {"a fallback relay is another server, wherever it listens",
       [&](Bench& b) { own(b)->set("smtp_fallback_relay", "[192.0.2.25]:2525"); },
       {"leak certain fallback-relay @ main.cf: smtp_fallback_relay"}},
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
      {"content filter whose next hop is elsewhere",
       [](Bench& b) {
         b.set("content_filter", "smtp:").set("default_filter_nexthop", "[filter.example]");
       },
       {"leak certain content-filter @ main.cf: content_filter"}},
      {"content filter without a next hop", [](Bench& b) { b.set("content_filter", "smtp:"); }, {}},
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
