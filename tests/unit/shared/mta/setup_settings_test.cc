// What setup records in policy.db: floors, own domains, the transports that ask. And which rows it
// proposes for the next hops of a configuration.
#include "shared/mta/setup_plan.h"
#include "tests/unit/shared/mta/site.h"

using namespace forcetls;

namespace {

/// The new value of a setting, or "-" if the plan leaves it.
std::string setting(const Site& site, const std::string& name,
                    const SetupFacts& facts = first_facts()) {
  for (const SettingChange& change : plan_setup(site.config(), facts).settings)
    if (change.name == name) return change.value;
  return "-";
}

}  // namespace

TEST_CASE("plan_setup: the lowest protocol of main.cf is a floor", "[mta][setup]") {
  struct Row {
    const char* value;
    const char* want;
  };
  const Row row = GENERATE(values<Row>({
      {">=TLSv1", "-"},
      {"", "-"},
      {"!SSLv2, !SSLv3", "-"},
      {"!SSLv2:!SSLv3:!TLSv1", "TLSv1.1"},
      {"!SSLv2 !SSLv3 !TLSv1 !TLSv1.1", "TLSv1.2"},
      {"!TLSv1.1", "-"},
      {">=TLSv1.2", "TLSv1.2"},
      {">=TLSv1.2, <=TLSv1.3", "TLSv1.2"},
      {">=0304", "TLSv1.3"},
      {">=0x303", "TLSv1.2"},
      {">=0x0302", "TLSv1.1"},
      {">=303 <=304", "TLSv1.2"},
      {">=SSLv3", "-"},
      {"TLSv1.2, TLSv1.3", "TLSv1.2"},
      {"tlsv1.3", "TLSv1.3"},
      {"TLSv1 !TLSv1.1", "-"},
      {">=TLSv1.1 !TLSv1.1", "TLSv1.2"},
      {"$smtp_tls_protocols", "-"},
  }));
  INFO(row.value);
  const Site site = debian12().main("smtp_tls_mandatory_protocols", row.value);
  CHECK(setting(site, "floor_min_protocol") == row.want);
}

TEST_CASE("plan_setup: a protocol left out above the lowest one is said", "[mta][setup]") {
  struct Row {
    const char* value;
    const char* left_out;  ///< "": nothing
  };
  const Row row = GENERATE(values<Row>({
      {">=TLSv1.2", ""},
      {"!SSLv2, !SSLv3, !TLSv1, !TLSv1.1", ""},
      {">=TLSv1.2, <=TLSv1.3", ""},
      {">=TLSv1.3", ""},
      {">=TLSv1.2, <=TLSv1.2", "TLSv1.3"},
      {">=0x303 <=0x303", "TLSv1.3"},
      {"!TLSv1.3", "TLSv1.3"},
      {"TLSv1.2", "TLSv1.3"},
      {"!SSLv2:!SSLv3:!TLSv1:!TLSv1.2", "TLSv1.2"},
  }));
  INFO(row.value);
  const std::string want = " leaves out " + std::string(row.left_out) + ",";
  const auto said = [&](const Site& site, const std::string& where) {
    const Plan plan = plan_setup(site.config(), first_facts());
    return advises(plan, where + want) || (*row.left_out == 0 && !advises(plan, " leaves out "));
  };
  CHECK(said(debian12().main("smtp_tls_mandatory_protocols", row.value),
             "main.cf: smtp_tls_mandatory_protocols"));
  CHECK(said(debian12().main("lmtp_tls_mandatory_protocols", row.value),
             "main.cf: lmtp_tls_mandatory_protocols"));
  CHECK(said(debian12().option("relay/unix", "smtp_tls_mandatory_protocols", row.value),
             "master.cf: relay/unix: smtp_tls_mandatory_protocols"));
}

TEST_CASE("plan_setup: cipher lists of the site's own", "[mta][setup]") {
  const char* want = "tls_medium_cipherlist is your own and tls_high_cipherlist is not";
  const auto said = [&](const Site& site) {
    return advises(plan_setup(site.config(), first_facts()), want);
  };
  CHECK_FALSE(said(debian12()));
  CHECK(said(debian12().main("tls_medium_cipherlist", "AES256")));
  CHECK_FALSE(said(debian12().main("tls_high_cipherlist", "AES256")));
  CHECK_FALSE(said(
      debian12().main("tls_medium_cipherlist", "AES256").main("tls_high_cipherlist", "AES256")));
}

TEST_CASE("plan_setup: exclusions and grade of main.cf are floors", "[mta][setup]") {
  struct Row {
    const char* what;
    Site site;
    const char* exclude;
    const char* grade;
  };
  const Row row = GENERATE(values<Row>({
      {"stock", debian12(), "-", "-"},
      {"exclusions", debian12().main("smtp_tls_mandatory_exclude_ciphers", "RC4, 3DES:aNULL"),
       "RC4:3DES:aNULL", "-"},
      {"both lists, each name once",
       debian12()
           .main("smtp_tls_exclude_ciphers", "MD5 RC4")
           .main("smtp_tls_mandatory_exclude_ciphers", "RC4 aNULL"),
       "MD5:RC4:aNULL", "-"},
      {"by a $name", debian12().main("smtp_tls_exclude_ciphers", "$bad").main("bad", "kRSA+AES"),
       "kRSA+AES", "-"},
      {"of one service",
       debian12()
           .service("c unix y smtp")
           .option("c/unix", "smtp_tls_mandatory_exclude_ciphers", "DES")
           .option("c/unix", "smtp_tls_mandatory_ciphers", "high"),
       "DES", "high"},
      {"of LMTP", debian12().main("lmtp_tls_mandatory_exclude_ciphers", "DES"), "DES", "-"},
      {"grade", debian12().main("smtp_tls_mandatory_ciphers", "high"), "-", "high"},
      {"no demand", debian12().main("smtp_tls_mandatory_ciphers", "low"), "-", "-"},
  }));
  INFO(row.what);
  CHECK(setting(row.site, "floor_exclude") == row.exclude);
  CHECK(setting(row.site, "floor_ciphers") == row.grade);
}

TEST_CASE("plan_setup: floors are only ever raised", "[mta][setup]") {
  SetupFacts facts = first_facts();
  facts.settings["floor_exclude"] = "RC4:DES";
  facts.settings["floor_min_protocol"] = "TLSv1.3";
  facts.settings["floor_ciphers"] = "high";
  const Site site = debian12()
                        .main("smtp_tls_exclude_ciphers", "DES, MD5")
                        .main("smtp_tls_mandatory_protocols", ">=TLSv1.2");
  CHECK(setting(site, "floor_exclude", facts) == "RC4:DES:MD5");
  CHECK(setting(site, "floor_min_protocol", facts) == "-");
  CHECK(setting(site, "floor_ciphers", facts) == "-");
}

TEST_CASE("plan_setup: the transports that ask, unless a person has named them", "[mta][setup]") {
  const Site site = debian12()
                        .service("smtp-bank unix y smtp")
                        .service("box unix y lmtp")
                        .service("127.0.0.1:99 inet y smtp");
  CHECK(setting(debian12(), "enforcing_transports") == "-");
  CHECK(setting(site, "enforcing_transports") == "smtp relay forcetls esmtp smtp-bank");
  SetupFacts facts = first_facts();
  facts.settings["enforcing_transports"] = "smtp mine";
  CHECK(setting(site, "enforcing_transports", facts) == "-");
  facts.filled_by_setup = {"enforcing_transports"};
  CHECK(setting(site, "enforcing_transports", facts) == "smtp mine relay forcetls esmtp smtp-bank");
}

TEST_CASE("plan_setup: a transport whose name cannot be recorded is named", "[mta][setup]") {
  const Site site = debian12().service("smtp+bank unix y smtp").service("more unix y smtp");
  CHECK(setting(site, "enforcing_transports") == "smtp relay forcetls esmtp more");
  CHECK(advises(plan_setup(site.config(), first_facts()), "master.cf: smtp+bank/unix: its name"));
}

TEST_CASE("plan_setup: what another instance has filled in stays, and is added to",
          "[mta][setup]") {
  SetupFacts facts = first_facts();
  facts.settings["own_domains"] = "other.example localhost";
  facts.settings["enforcing_transports"] = "smtp relay forcetls esmtp other";
  facts.filled_by_setup = {"own_domains", "enforcing_transports"};
  const Site site = debian12().main("mydestination", "localhost, mine.example");
  CHECK(setting(site, "own_domains", facts) == "other.example localhost mine.example");
  CHECK(setting(site, "enforcing_transports", facts) == "-");
  CHECK_FALSE(advises(plan_setup(site.config(), facts), "own_domains"));
  // In the policy of this host it is a partner by now, or a domain of the other instance.
  facts.rows = {{"other.example", Level::Encrypt, false}};
  CHECK_FALSE(advises(plan_setup(site.config(), facts), "own_domains"));
  facts.rows = {{"other.example", Level::Encrypt}};
  CHECK(
      advises(plan_setup(site.config(), facts), "own_domains has other.example, which has a row"));
  facts.filled_by_setup = {};
  CHECK(setting(site, "own_domains", facts) == "-");
}

TEST_CASE("plan_setup: own domains, as far as they can be listed", "[mta][setup]") {
  SetupFacts facts = first_facts();
  facts.tables["hash:/v"] = {{"virtual.example", "x"},
                             {"root", "x@virtual.example"},
                             {"u@virtual.example", "bob"},
                             {"@third.example", "bob"},
                             {"VIRTUAL2.example", "x"}};
  const Site site = debian12()
                        .main("mydestination",
                              "Ours.Example, $myhostname, /etc/domains, !x.example, "
                              "b\u00fccher.example, bad\xff.example, "
                              "pcre:/p, 192.0.2.1, [192.0.2.2], bad..example")
                        .main("virtual_alias_maps", "hash:/v")
                        .main("relay_domains", "cust.example");
  CHECK(setting(site, "own_domains", facts) ==
        "ours.example mail.ours.example xn--bcher-kva.example virtual.example virtual2.example "
        "cust.example "
        ".cust.example");
  Site exact = site;
  exact.main("parent_domain_matches_subdomains", "");
  CHECK_FALSE(setting(exact, "own_domains", facts).ends_with(" .cust.example"));
  CHECK_THAT(setting(exact, "own_domains", facts),
             ContainsSubstring("virtual2.example cust.example"));
  facts.settings["own_domains"] = "by.hand.example";
  CHECK(setting(site, "own_domains", facts) == "-");
}

TEST_CASE("plan_setup: own domains that stand in a file", "[mta][setup]") {
  SetupFacts facts = first_facts();
  facts.files["/etc/domains"] =
      "# ours\nfirst.example, second.example\n   # more\n third.example !no.example\n"
      "hash:/inner /etc/inner";
  const Site site = debian12().main("mydestination", "/etc/domains $other").main("other", "/no");
  CHECK(files_to_read(site.config()) == std::vector<std::string>{"/etc/domains", "/no"});
  CHECK(setting(site, "own_domains", facts) == "first.example second.example third.example");
  const Plan plan = plan_setup(site.config(), facts);
  for (const char* unread : {"hash:/inner", "/etc/inner", "/no"}) {
    INFO(unread);
    CHECK(advises(plan, "main.cf: mydestination: " + std::string(unread) + " cannot be read here"));
  }
}

TEST_CASE("plan_setup: a table of own domains that cannot be read is named", "[mta][setup]") {
  const char* table = GENERATE("mysql:/etc/postfix/m.cf", "proxy:ldap:/l", "pcre:/p");
  const char* parameter = GENERATE("mydestination", "virtual_alias_domains",
                                   "virtual_mailbox_domains", "relay_domains");
  const Plan plan = plan_setup(debian12().main(parameter, table).config(), first_facts());
  CHECK(
      advises(plan, std::string("main.cf: ") + parameter + ": " + table + " cannot be read here"));
  CHECK(advises(plan,
                "sqlite3 /p.db \"UPDATE setting SET value = trim(value || ' DOMAIN') WHERE "
                "name = 'own_domains'\""));
  CHECK_FALSE(advises(
      plan_setup(debian12().main(parameter, std::string("!") + table).config(), first_facts()),
      "cannot be read here"));
}

TEST_CASE("tables_to_list: those with next hops and own domains, each once", "[mta][setup]") {
  const Site site = debian12()
                        .main("transport_maps", "hash:/t, $same")
                        .main("same", "hash:/t")
                        .main("sender_dependent_relayhost_maps", "proxy:mysql:/r")
                        .main("virtual_mailbox_domains", "plain.example, cdb:/d")
                        .main("alias_maps", "hash:/etc/aliases");
  CHECK(tables_to_list(site.config()) ==
        std::vector<std::string>{"hash:/t", "proxy:mysql:/r", "cdb:/d"});
}

TEST_CASE("plan_setup: a row is proposed for each next hop on another host", "[mta][setup]") {
  struct Row {
    const char* what;
    Site site;
    const char* want;  ///< the key proposed; "-": none
  };
  const auto with_table = [](const char* parameter) {
    return debian12().main(parameter, "hash:/t").service("clone unix y smtp");
  };
  const Row row = GENERATE_COPY(values<Row>({
      {"none", debian12(), "-"},
      {"bracketed", debian12().main("relayhost", "[Relay.example]:587"), "[relay.example]:587"},
      {"bare", debian12().main("relayhost", "relay.example"), "relay.example"},
      {"by a $name", debian12().main("relayhost", "$r").main("r", "[r.example]"), "[r.example]"},
      {"fallback", debian12().main("smtp_fallback_relay", "[fall.example]"), "[fall.example]"},
      {"fallback of a service",
       debian12().option("relay/unix", "smtp_fallback_relay", "[fall.example]"), "[fall.example]"},
      {"default_transport", debian12().main("default_transport", "smtp:[d.example]"),
       "[d.example]"},
      {"content filter", debian12().main("content_filter", "smtp:[filter.example]:10025"),
       "[filter.example]:10025"},
      {"default_filter_nexthop", debian12().main("default_filter_nexthop", "[filter.example]"),
       "[filter.example]"},
      {"default_filter_nexthop here", debian12().main("default_filter_nexthop", "[127.0.0.1]:26"),
       "-"},
      {"content filter here", debian12().main("content_filter", "smtp:[127.0.0.1]:10025"), "-"},
      {"content filter of a service",
       debian12().option("smtp/inet", "content_filter", "smtp:filter.example:10025"),
       "filter.example:10025"},
      {"content filter by LMTP", debian12().main("content_filter", "lmtp:[f.example]:24"), "-"},
      {"local mailbox by LMTP", debian12().main("mailbox_transport", "lmtp:unix:private/x"), "-"},
      {"transport_maps", with_table("transport_maps"), "[lan.example]:25"},
      {"sender_dependent_default_transport_maps",
       with_table("sender_dependent_default_transport_maps"), "[lan.example]:25"},
      {"tables that cannot be listed", debian12().main("transport_maps", "pcre:/t"), "-"},
  }));
  INFO(row.what);
  SetupFacts facts = first_facts();
  facts.tables["hash:/t"] = {{"lan.example", "clone:[lan.example]:25"},
                             {"drop.example", "discard:"},
                             {"here.example", "smtp:"},
                             {"box.example", "lmtp:[box.example]:24"}};
  const Plan plan = plan_setup(row.site.config(), facts);
  const std::string proposal = "VALUES ('" + std::string(row.want) + "', 'verify')";
  CHECK(advises(plan, std::string(row.want) == "-" ? "no such line" : proposal) ==
        (std::string(row.want) != "-"));
  CHECK(advises(plan, "INSERT") == (std::string(row.want) != "-"));
  facts.rows = {{row.want, Level::Encrypt}};
  CHECK_FALSE(advises(plan_setup(row.site.config(), facts), "INSERT"));
}

TEST_CASE("sqlite_command: a path is one word of the shell", "[mta][setup]") {
  CHECK(sqlite_command("/var/lib/p-1.db", "SELECT 'x'") ==
        "sqlite3 /var/lib/p-1.db \"SELECT 'x'\"");
  CHECK(sqlite_command("/a b/$(x)'y.db", "S") == "sqlite3 '/a b/$(x)'\\''y.db' \"S\"");
}

TEST_CASE("plan_setup: nothing that a table holds is for the shell", "[mta][setup]") {
  const char* hop =
      GENERATE("[$(reboot)]:25", "[`reboot`]", "[a\"; reboot; \"]", "[a'b]", "[a\\b]");
  INFO(hop);
  SetupFacts facts = first_facts();
  facts.tables["hash:/t"] = {{"a", std::string("smtp:") + hop}};
  const Plan plan = plan_setup(debian12().main("transport_maps", "hash:/t").config(), facts);
  CHECK(advises(plan, std::string("sends mail to ") + hop));
  CHECK_FALSE(advises(plan, "sqlite3"));
}

TEST_CASE("plan_setup: many next hops are counted, not listed", "[mta][setup]") {
  SetupFacts facts = first_facts();
  constexpr int kMany = 100'000;  // Not to be compared each with each.
  for (int i = 0; i < kMany; ++i) {
    const std::string hop = "smtp:[mx" + std::to_string(i) + ".example]";
    facts.tables["hash:/t"].emplace_back("a" + std::to_string(i), hop);
    facts.tables["hash:/t"].emplace_back("b" + std::to_string(i), hop);
  }
  const Plan plan = plan_setup(debian12().main("transport_maps", "hash:/t").config(), facts);
  CHECK(advises(plan, "'[mx19.example]'"));
  CHECK_FALSE(advises(plan, "'[mx20.example]'"));
  CHECK(advises(plan, "and 99980 more next hops"));
}

TEST_CASE("plan_setup: what a person's list lacks is said, not added", "[mta][setup]") {
  SetupFacts facts = first_facts();
  facts.settings["own_domains"] = "ours.example mail.ours.example";
  facts.settings["enforcing_transports"] = "smtp relay forcetls esmtp";
  CHECK(advises(plan_setup(debian12().config(), facts),
                "own_domains was written by hand and has no localhost.localdomain and 1 more"));
  facts.settings["enforcing_transports"] = "smtp";
  CHECK(advises(plan_setup(debian12().config(), facts), "has no relay"));
  facts.settings["own_domains"] = "ours.example mail.ours.example localhost.localdomain localhost";
  CHECK_FALSE(advises(plan_setup(debian12().config(), facts), "own_domains"));
}

TEST_CASE("plan_setup: what no row can help is said", "[mta][setup]") {
  struct Row {
    Site site;
    const char* want;
  };
  const Row row = GENERATE(values<Row>({
      {debian12().main("smtpd_proxy_filter", "filter.example:10025"), "in clear, and no row"},
      {debian12().main("receive_override_options", "no_milters"), "has no_milters"},
      {debian12().unset("smtpd_tls_cert_file").unset("smtpd_tls_security_level"),
       "has no certificate"},
      {debian12()
           .main("smtp_tls_fingerprint_digest", "sha1")
           .main("smtp_tls_policy_maps", "hash:/p"),
       "smtp_tls_fingerprint_digest stays sha1"},
      {debian12().main("transport_maps", "pcre:/t"), "pcre:/t cannot be listed"},
      {debian12(), "enable_long_queue_ids"},
  }));
  CHECK(advises(plan_setup(row.site.config(), first_facts()), row.want));
  CHECK_FALSE(advises(
      plan_setup(debian12().main("smtpd_proxy_filter", "127.0.0.1:10025").config(), first_facts()),
      "no row"));
}

TEST_CASE("plan_setup: a header that nobody obeys any more need not be refused", "[mta][setup]") {
  const std::string name = "tls_required_header";
  CHECK(setting(debian12(), name) == "-");  // `auto` lets it pass there
  CHECK(setting(debian13(), name) == "ignore");
  SetupFacts facts = first_facts();
  facts.settings[name] = "auto";
  CHECK(setting(debian13(), name, facts) == "ignore");
  facts.settings[name] = "reject";  // a person's word
  CHECK(setting(debian13(), name, facts) == "-");
  facts.settings[name] = "ignore";
  CHECK(setting(debian13(), name, facts) == "-");
}
