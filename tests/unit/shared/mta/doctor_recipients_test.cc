// Mail that goes to other recipients than were written, or to more: what the doctor must say of it.
#include "tests/unit/shared/mta/doctor_rows.h"

using namespace forcetls;

TEST_CASE("doctor: recipients that are written anew", "[doctor]") {
  const auto table = [](const char* parameter, const char* key, const char* value) {
    return [=](Bench& b) { b.set(parameter, "hash:/v").facts.tables["hash:/v"] = {{key, value}}; };
  };
  const Told aliased{
      "leak likely rewritten-recipient @ main.cf: virtual_alias_maps: hash:/v: @bank.example"};
  check_all({
      {"a domain to an address", table("virtual_alias_maps", "@bank.example", "x@clear.example"),
       aliased},
      {"a user beside himself",
       table("virtual_alias_maps", "u@bank.example", "u@bank.example, x@clear.example"),
       {"leak likely rewritten-recipient @ main.cf: virtual_alias_maps: hash:/v: u@bank.example"}},
      {"a domain to another",
       table("recipient_canonical_maps", "@bank.example", "@clear.example"),
       {"leak likely rewritten-recipient @ main.cf: recipient_canonical_maps: hash:/v: "
        "@bank.example"}},
      {"canonical_maps",
       table("canonical_maps", "u@bank.example", "x@clear.example"),
       {"leak likely rewritten-recipient @ main.cf: canonical_maps: hash:/v: u@bank.example"}},
      {"to the domain itself", table("virtual_alias_maps", "u@bank.example", "v@bank.example"), {}},
      {"to a user of this host",
       table("virtual_alias_maps", "u@bank.example", "u@ours.example"),
       {}},
      {"to a domain of this host that a table names",
       [](Bench& b) {
         b.set("virtual_alias_maps", "hash:/v").facts.tables["hash:/v"] = {
             {"u@bank.example", "u@mine.example"}};
         b.set("virtual_mailbox_domains", "hash:/m").facts.tables["hash:/m"] = {
             {"mine.example", "x"}};
       },
       {}},
      {"of a domain that is not forced",
       table("virtual_alias_maps", "@ours.example", "x@clear.example"),
       {}},
      {"by an alias of an alias",
       [](Bench& b) {
         b.set("virtual_alias_maps", "hash:/v").set("alias_maps", "hash:/a");
         b.facts.tables["hash:/v"] = {{"@bank.example", "a@ours.example"}};
         b.facts.tables["hash:/a"] = {{"a", "b, |program"}, {"b", "x@clear.example"}};
         b.set("myorigin", "ours.example");
       },
       aliased},
      {"by a loop",
       [](Bench& b) {
         b.set("virtual_alias_maps", "hash:/v").facts.tables["hash:/v"] = {
             {"u@bank.example", "v@bank.example"}, {"v@bank.example", "u@bank.example"}};
       },
       {}},
      {"REDIRECT",
       [](Bench& b) {
         b.set("smtpd_sender_restrictions", "check_sender_access hash:/a")
             .facts.actions["hash:/a"] = {"REDIRECT x@clear.example", "REDIRECT x@ours.example"};
       },
       {"leak likely rewritten-recipient @ main.cf: smtpd_sender_restrictions: hash:/a"}},
  });
}

TEST_CASE("doctor: a recipient's fix is the row of where it goes", "[doctor]") {
  Bench bench;
  bench.bolt_on().bank().set("virtual_alias_maps", "hash:/v");
  bench.facts.tables["hash:/v"] = {{"@bank.example", "x@clear.example"}};
  const char* const kInsert = "sqlite3 /p.db \"INSERT INTO domain_policy(domain, outbound) VALUES ";
  CHECK(finding_of(bench, "rewritten-recipient").fix ==
        kInsert + std::string("('clear.example', 'secure')\""));
  bench.route("x@clear.example", "smtp", "[relay.example]");
  CHECK(finding_of(bench, "rewritten-recipient").fix ==
        kInsert + std::string("('[relay.example]', 'secure')\""));
  bench.row({.key = "[relay.example]", .outbound = Level::Secure});
  CHECK(bench.told().empty());
}

TEST_CASE("doctor: copies are judged by where Postfix delivers them", "[doctor]") {
  const Told copied{"leak certain bcc-copy @ main.cf: always_bcc"};
  check_all({
      {"a relayed domain among our own",
       [](Bench& b) {
         b.set("always_bcc", "all@relayed.example").set("relay_domains", "relayed.example");
         b.policy.mutable_settings().own_domains.push_back("relayed.example");
       },
       copied},
      {"which Postfix relays",
       [](Bench& b) {
         b.set("always_bcc", "all@relayed.example");
         b.policy.mutable_settings().own_domains.push_back("relayed.example");
         b.route("all@relayed.example", "relay", "relayed.example");
       },
       copied},
      {"without a domain, which leads off this host",
       [](Bench& b) {
         b.set("always_bcc", "archive").set("myorigin", "/etc/mailname");
         b.facts.pattern_files["/etc/mailname"] = "elsewhere.example\n";
       },
       copied},
      {"a local user whose alias leads off this host",
       [](Bench& b) {
         b.set("always_bcc", "archive").set("alias_maps", "hash:/a");
         b.set("myorigin", "ours.example");
         b.facts.tables["hash:/a"] = {{"archive", "x@clear.example"}};
       },
       copied},
      {"a table of a service",
       [](Bench& b) {
         b.option("cleanup/unix", "sender_bcc_maps", "hash:/b");
         b.facts.tables["hash:/b"] = {{"a@ours.example", "x@clear.example"}};
       },
       {"leak likely bcc-copy @ master.cf: cleanup/unix: -o sender_bcc_maps: hash:/b"}},
  });
}

TEST_CASE("doctor: tables of recipients are asked for, those of services too", "[doctor]") {
  Bench bench;
  bench.bolt_on().bank().set("virtual_alias_maps", "hash:/v").set("alias_maps", "hash:/a");
  bench.option("cleanup/unix", "recipient_bcc_maps", "hash:/b").set("myorigin", "/etc/mailname");
  const auto asked = doctor::questions(bench.config(), bench.policy, "/q", {});
  for (const char* table : {"hash:/v", "hash:/a", "hash:/b"}) CHECK(asked.tables.contains(table));
  CHECK(asked.pattern_files.contains("/etc/mailname"));
  bench.facts.tables["hash:/v"] = {{"@bank.example", "X@Clear.example"},
                                   {"@a.example", "y@b.example"}};
  CHECK(doctor::addresses_to_resolve(bench.config(), bench.policy, bench.facts) ==
        std::set<std::string>{"x@clear.example"});
  bench.set("virtual_alias_maps", "ldap:/v");
  CHECK(finding_of(bench, "rewritten-recipient").severity == doctor::Severity::Note);
}
