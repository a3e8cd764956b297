// What a next hop without a row is held to: by what its client asks besides rows, or by its level.
#include "tests/unit/shared/mta/doctor_rows.h"

using namespace forcetls;

namespace {

constexpr const char* kAddress = "postmaster@bank.example";
constexpr const char* kTlsTable = "socketmap:unix:forcetls/map.sock:tls";
constexpr const char* kDefaultTable = "socketmap:unix:forcetls/map.sock:default";

/// As check_all, but bank.example must have encrypt.
void check_bank(const std::vector<Change>& rows) {
  for (const Change& row : rows) {
    INFO(row.what);
    Bench bench;
    bench.bolt_on().bank(Level::Encrypt);
    row.make(bench);
    CHECK(bench.told() == row.want);
  }
}

Bench& by_way_of(Bench& bench, const char* transport, const char* next_hop) {
  return bench.route(kAddress, transport, next_hop);
}

Bench& hold_unlisted_relays(Bench& bench) {
  bench.policy.mutable_settings().unlisted_relay = UnlistedRelay::Encrypt;
  bench.facts.settings["unlisted_relay"] = "encrypt";
  return bench;
}

std::string maps(std::initializer_list<const char*> tables) {
  std::string list;
  for (const char* table : tables) list += (list.empty() ? "" : ", ") + std::string(table);
  return list;
}

}  // namespace

TEST_CASE("doctor: unlisted_relay counts for a client that asks for it", "[doctor]") {
  const Told weak{"leak certain route-next-hop @ main.cf: transport_maps"};
  const auto rows_only = [](Bench& b) {
    b.service({"plain/unix", "smtp", true, {{"smtp_tls_policy_maps", kTlsTable}}});
    b.policy.mutable_settings().enforcing_transports.push_back("plain");
  };
  check_bank({
      {"which does",
       [](Bench& b) { by_way_of(hold_unlisted_relays(b), "smtp", "[gate.example]"); },
       {}},
      {"which asks for rows alone",
       [&](Bench& b) {
         rows_only(b);
         by_way_of(hold_unlisted_relays(b), "plain", "[gate.example]");
       },
       weak},
      {"which asks for rows alone, and the hop has one",
       [&](Bench& b) {
         rows_only(b);
         by_way_of(hold_unlisted_relays(b), "plain", "[gate.example]");
         b.row({.key = "[gate.example]"});
       },
       {}},
      {"LMTP, which never does",
       [](Bench& b) { by_way_of(hold_unlisted_relays(b), "lmtp", "inet:store.example:24"); },
       {"leak certain lmtp-elsewhere @ main.cf: transport_maps"}},
      {"a filter by LMTP",
       [](Bench& b) {
         hold_unlisted_relays(b).set("content_filter", "lmtp:inet:store.example:24");
       },
       {"leak certain content-filter @ main.cf: content_filter"}},
      {"a filter by LMTP whose row is that of its parent",
       [](Bench& b) {
         b.set("content_filter", "lmtp:inet:mx.store.example").row({.key = ".store.example"});
       },
       {"leak certain content-filter @ main.cf: content_filter"}},
      {"a fallback relay of a client for rows alone",
       [&](Bench& b) {
         rows_only(b);
         hold_unlisted_relays(b).set("smtp_fallback_relay", "[fall.example]");
       },
       {"leak certain fallback-relay @ main.cf: smtp_fallback_relay"}},
  });
}

TEST_CASE("doctor: the level of the client holds a hop without a row", "[doctor]") {
  const Told weak{"leak certain route-next-hop @ main.cf: transport_maps"};
  const auto site_table = [](Bench& b, const char* entry, const char* level) {
    b.set("smtp_tls_policy_maps", maps({kTlsTable, "hash:/p", kDefaultTable}));
    b.facts.tables["hash:/p"] = {{"[gate.example]", entry}};
    by_way_of(b, "smtp", "[gate.example]").set("smtp_tls_security_level", level);
  };
  check_bank({
      {"encrypt in main.cf",
       [](Bench& b) {
         by_way_of(b, "smtp", "[gate.example]").set("smtp_tls_security_level", "encrypt");
       },
       {}},
      {"may for this client alone",
       [](Bench& b) {
         by_way_of(b, "smtp", "[gate.example]").set("smtp_tls_security_level", "encrypt");
         b.option("smtp/unix", "smtp_tls_security_level", "may");
       },
       weak},
      {"encrypt where secure is wanted",
       [](Bench& b) {
         b.set("smtp_tls_security_level", "encrypt");
         b.row({.key = "post.example", .outbound = Level::Secure});
         b.route("postmaster@post.example", "smtp", "[gate.example]");
       },
       weak},
      {"dane, which goes clear where there is no record",
       [](Bench& b) {
         by_way_of(b, "smtp", "[gate.example]").set("smtp_tls_security_level", "dane");
         b.set("smtp_dns_support_level", "dnssec");
       },
       weak},
      {"encrypt, but a row says less",
       [](Bench& b) {
         by_way_of(b, "smtp", "[gate.example]").set("smtp_tls_security_level", "encrypt");
         b.row({.key = "[gate.example]", .outbound = Level::May});
       },
       weak},
      {"encrypt, but the site's own table says less",
       [&](Bench& b) { site_table(b, "may", "encrypt"); }, weak},
      {"may, but the site's own table says more",
       [&](Bench& b) { site_table(b, "secure match=gate.example", "may"); },
       {}},
      {"encrypt, behind a table that cannot be listed",
       [](Bench& b) {
         b.set("smtp_tls_policy_maps", maps({kTlsTable, "ldap:/p", kDefaultTable}));
         by_way_of(b, "smtp", "[gate.example]").set("smtp_tls_security_level", "encrypt");
       },
       weak},
      {"encrypt for LMTP",
       [](Bench& b) {
         by_way_of(b, "lmtp", "inet:store.example:24").set("lmtp_tls_security_level", "encrypt");
       },
       {}},
  });
}
