// Own domains in tables and files, and tables that cannot be looked into.
#include <algorithm>

#include "tests/unit/shared/mta/doctor_rows.h"

using namespace forcetls;

namespace {

/// "main.cf: transport_maps: pcre:/t" of each table that was not examined.
std::vector<std::string> unseen(const Bench& bench) {
  std::vector<std::string> places;
  for (const doctor::Finding& finding : bench.findings())
    if (finding.id == "table-not-examined") places.push_back(finding.where);
  return places;
}

}  // namespace

TEST_CASE("doctor: own domains in tables and files, with a row", "[doctor]") {
  const Told warned{"warning certain own-domains @ policy.db: setting own_domains"};
  check_all({
      {"in a table",
       [](Bench& b) {
         b.set("virtual_mailbox_domains", "hash:/v");
         b.facts.tables["hash:/v"] = {{"bank.example", "x"}};
       },
       warned},
      {"in an address of a table, which makes it no own domain",
       [](Bench& b) {
         b.set("virtual_alias_maps", "hash:/v").set("virtual_alias_domains", "hash:/v");
         b.facts.tables["hash:/v"] = {{"u@bank.example", "x"}, {"root", "x"}};
       },
       {}},
      {"in a table that only answers",
       [](Bench& b) {
         b.set("relay_domains", "ldap:/r").facts.own_keys["ldap:/r"] = {"bank.example"};
       },
       warned},
      {"in a table that has others",
       [](Bench& b) { b.set("relay_domains", "ldap:/r").facts.own_keys["ldap:/r"] = {}; },
       {}},
      {"in a file",
       [](Bench& b) {
         b.set("mydestination", "$myhostname, /etc/own");
         b.facts.pattern_files["/etc/own"] = "# ours\na.example, Bank.Example # the bank\n";
       },
       warned},
      {"in a comment of a file",
       [](Bench& b) {
         b.set("mydestination", "$myhostname, /etc/own");
         b.facts.pattern_files["/etc/own"] = "a.example # bank.example\n!bank.example";
       },
       {}},
      {"in a file that says what is not ours",
       [](Bench& b) {
         b.set("mydestination", "$myhostname, !/etc/own");
         b.facts.pattern_files["/etc/own"] = "bank.example";
       },
       {}},
  });
}

TEST_CASE("doctor: of very many own domains only those with a row are named", "[doctor]") {
  Bench bench;
  bench.bolt_on().bank().set("relay_domains", "hash:/r");
  for (int i = 0; i < 1000; ++i)
    bench.facts.tables["hash:/r"].push_back({"d" + std::to_string(i) + ".example", "x"});
  CHECK(finding_of(bench, "own-domains").id.empty());
  bench.facts.tables["hash:/r"].push_back({"bank.example", "x"});
  CHECK(finding_of(bench, "own-domains").fix ==
        "sqlite3 /p.db \"UPDATE setting SET value = 'mail.ours.example ours.example "
        "bank.example' WHERE name = 'own_domains'\"");
}

TEST_CASE("doctor: tables that could not be looked into are named", "[doctor]") {
  Bench bench;
  bench.bolt_on().bank();
  CHECK(unseen(bench).empty());
  bench.set("transport_maps", "hash:/t, pcre:/t, socketmap:unix:forcetls/map.sock:transport");
  bench.set("mydestination", "$myhostname, /etc/own, mysql:/m");
  bench.set("relay_domains", "ldap:/answers");
  bench.set("smtpd_client_restrictions", "check_client_access ldap:/a, check_helo_access cidr:/c");
  bench.set("smtpd_sender_restrictions", "check_sender_access ldap:/a");
  bench.facts.tables["hash:/t"] = {};
  bench.facts.own_keys["ldap:/answers"] = {};
  bench.facts.actions["cidr:/c"] = {};
  CHECK(unseen(bench) == std::vector<std::string>{"main.cf: transport_maps: pcre:/t",
                                                  "main.cf: mydestination: /etc/own",
                                                  "main.cf: mydestination: mysql:/m",
                                                  "main.cf: smtpd_client_restrictions: ldap:/a"});
  CHECK(bench.told().empty());
  bench.facts.config_directory = "/etc/postfix-2";
  CHECK(finding_of(bench, "table-not-examined").fix ==
        "postmap -c /etc/postfix-2 -q user@bank.example pcre:/t");
}

TEST_CASE("doctor: rules in the parameter itself", "[doctor]") {
  CHECK(doctor::inline_rules("/etc/postfix/checks").empty());
  CHECK(doctor::inline_rules("{{/^x: {2}/ FILTER smtp:[f.example]}, {/y/ DUNNO}}") ==
        "/^x: {2}/ FILTER smtp:[f.example]\n/y/ DUNNO\n");
  CHECK(doctor::inline_rules("{ { /a/ b } }") == "/a/ b\n");
}

TEST_CASE("doctor: main.cf that names another directory than its own", "[doctor]") {
  Bench bench;
  bench.bolt_on().facts.main_cf_directory = "/etc/postfix";
  CHECK(finding_of(bench, "config-directory").id.empty());
  for (const char* same : {"/etc/postfix", "/etc/postfix/"})
    CHECK(finding_of(bench.set("config_directory", same), "config-directory").id.empty());
  const auto found = finding_of(bench.set("config_directory", "/etc/other"), "config-directory");
  CHECK(found.severity == doctor::Severity::Note);
  CHECK(found.fix == "postconf -X config_directory && postfix reload");
}
