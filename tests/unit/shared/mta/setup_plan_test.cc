// What setup wants of which configuration. What it wants once, it does not want twice.
#include "shared/mta/setup_plan.h"

#include <algorithm>

#include "tests/unit/shared/mta/site.h"

using namespace forcetls;

namespace {

using Lines = std::vector<std::string>;

const std::string kPolicy =
    "check_policy_service { unix:forcetls/policy.sock, timeout=10s, { default_action = 451 4.7.0 "
    "forcetls-policyd does not answer; try again later } }";
const std::string kOurMilter =
    "{ unix:forcetls/milter.sock, default_action=tempfail, command_timeout=10s }";

/// "main.cf: relayhost = x", sorted.
Lines changes(const Plan& plan) {
  Lines lines;
  for (const ParameterChange& change : plan.parameters) {
    CHECK_FALSE(change.reason.empty());
    lines.push_back(change.where() + " = " + change.value);
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

/// What the plan of `site` does besides that of the same Debian untouched.
Lines more_than_stock(const Site& site, const SetupFacts& facts = first_facts()) {
  const Lines stock = changes(plan_setup(debian12().config(), facts));
  Lines more;
  const Lines all = changes(plan_setup(site.config(), facts));
  std::set_difference(all.begin(), all.end(), stock.begin(), stock.end(), std::back_inserter(more));
  return more;
}

void check_idempotent(const Site& site, const SetupFacts& facts = first_facts()) {
  const Plan plan = plan_setup(site.config(), facts);
  CHECK(changes(plan_setup(site.after(plan).config(), facts)) == Lines{});
}

const Lines kStockChanges{
    "main.cf: bounce_size_limit = 1",
    "main.cf: delay_warning_time = 1h",
    "main.cf: lmtp_connection_cache_on_demand = no",
    "main.cf: lmtp_delivery_status_filter = regexp:$config_directory/forcetls-delivery-status",
    "main.cf: lmtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt",
    "main.cf: lmtp_tls_loglevel = 1",
    "main.cf: lmtp_tls_policy_maps = socketmap:unix:forcetls/map.sock:lmtp",
    "main.cf: non_smtpd_milters = " + kOurMilter,
    "main.cf: smtp_connection_cache_on_demand = no",
    "main.cf: smtp_delivery_status_filter = regexp:$config_directory/forcetls-delivery-status",
    "main.cf: smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt",
    "main.cf: smtp_tls_loglevel = 1",
    "main.cf: smtp_tls_policy_maps = " + kTls + ", " + kDefault,
    "main.cf: smtp_tls_session_cache_database = ",
    "main.cf: smtpd_milters = " + kOurMilter,
    "main.cf: smtpd_recipient_restrictions = " + kPolicy,
};

struct Case {
  const char* what;
  Site site;
  Lines want;  ///< besides the stock changes
};

}  // namespace

TEST_CASE("plan_setup: stock Debian 12", "[mta][setup]") {
  const Plan plan = plan_setup(debian12().config(), first_facts());
  CHECK(changes(plan) == kStockChanges);
  CHECK(plan.refusals.empty());
  REQUIRE(plan.settings.size() == 1);
  CHECK(plan.settings[0].name == "own_domains");
  CHECK(plan.settings[0].value == "mail.ours.example ours.example localhost.localdomain localhost");
  check_idempotent(debian12());
}

TEST_CASE("plan_setup: stock Debian 13 also switches TLS-Required off", "[mta][setup]") {
  Lines want = kStockChanges;
  want.emplace_back("main.cf: tls_required_enable = no");
  CHECK(changes(plan_setup(debian13().config(), first_facts())) == want);
  check_idempotent(debian13());
}

TEST_CASE("plan_setup: what the site has stays, in its order, with ours around it",
          "[mta][setup]") {
  const std::string tls = kTls + ", ";
  const std::string map_line = "main.cf: smtp_tls_policy_maps = " + tls;
  const Case row = GENERATE_COPY(values<Case>({
      {"an old tls_policy",
       debian12().main("smtp_tls_policy_maps", "hash:/etc/postfix/tls_policy"),
       {map_line + "hash:/etc/postfix/tls_policy, " + kDefault}},
      {"an MTA-STS resolver",
       debian12().main("smtp_tls_policy_maps", "socketmap:inet:127.0.0.1:8461:postfix"),
       {map_line + "socketmap:inet:127.0.0.1:8461:postfix, " + kDefault}},
      {"several tables and a $name",
       debian12().main("smtp_tls_policy_maps", "hash:/a  $my_maps").main("my_maps", "cdb:/b"),
       {map_line + "hash:/a  $my_maps, " + kDefault}},
      {"inline tables with braces",
       debian12().main("smtp_tls_policy_maps", "inline:{ a.example=secure, b.example=encrypt }"),
       {map_line + "inline:{ a.example=secure, b.example=encrypt }, " + kDefault}},
      {"LMTP with a policy",
       debian12().main("lmtp_tls_policy_maps", "hash:/l"),
       {"main.cf: lmtp_tls_policy_maps = socketmap:unix:forcetls/map.sock:lmtp, hash:/l"}},
      {"milters, one with braces",
       debian12().main("smtpd_milters", "inet:127.0.0.1:8891, { unix:/x, default_action=accept }"),
       {"main.cf: smtpd_milters = " + kOurMilter +
        ", inet:127.0.0.1:8891, { unix:/x, default_action=accept }"}},
      {"non_smtpd_milters = $smtpd_milters has ours already then",
       debian12().main("smtpd_milters", "inet:h:1").main("non_smtpd_milters", "$smtpd_milters"),
       {"main.cf: smtpd_milters = " + kOurMilter + ", inet:h:1"}},
      {"smtpd_milters = $non_smtpd_milters has ours already then",
       debian12().main("non_smtpd_milters", "inet:h:1").main("smtpd_milters", "$non_smtpd_milters"),
       {"main.cf: non_smtpd_milters = " + kOurMilter + ", inet:h:1"}},
      {"restrictions and policy services",
       debian12().main("smtpd_recipient_restrictions",
                       "permit_mynetworks, check_policy_service { unix:private/grey, timeout=5s }, "
                       "$more"),
       {"main.cf: smtpd_recipient_restrictions = " + kPolicy +
        ", permit_mynetworks, check_policy_service { unix:private/grey, timeout=5s }, $more"}},
      {"a delivery status filter",
       debian12().main("smtp_delivery_status_filter", "pcre:/f"),
       {"main.cf: smtp_delivery_status_filter = regexp:$config_directory/forcetls-delivery-status, "
        "pcre:/f"}},
      {"the default delivery status filter",
       debian12().main("default_delivery_status_filter", "pcre:/f"),
       {"main.cf: lmtp_delivery_status_filter = regexp:$config_directory/forcetls-delivery-status, "
        "$default_delivery_status_filter",
        "main.cf: smtp_delivery_status_filter = regexp:$config_directory/forcetls-delivery-status, "
        "$default_delivery_status_filter"}},
  }));
  INFO(row.what);
  CHECK(more_than_stock(row.site) == row.want);
  check_idempotent(row.site);
}

TEST_CASE("plan_setup: what is strict enough, or the site's choice, stays", "[mta][setup]") {
  struct Keep {
    const char* name;
    const char* value;
    const char* untouched;
  };
  const Keep row = GENERATE(values<Keep>({
      {"smtp_tls_security_level", "encrypt", "smtp_tls_security_level"},
      {"smtp_tls_security_level", "dane", "smtp_tls_security_level"},
      {"smtp_tls_loglevel", "2", "smtp_tls_loglevel"},
      {"delay_warning_time", "4h", "delay_warning_time"},
      {"delay_warning_time", "30m", "delay_warning_time"},
      {"bounce_size_limit", "1", "bounce_size_limit"},
      {"smtp_tls_CAfile", "/my.pem", "smtp_tls_CAfile"},
      {"smtp_tls_CApath", "/my/cas", "smtp_tls_CAfile"},
      {"smtpd_tls_security_level", "encrypt", "smtpd_tls_security_level"},
      {"smtp_tls_session_cache_database", "", "smtp_tls_session_cache_database"},
      {"smtp_connection_cache_on_demand", "no", "smtp_connection_cache_on_demand"},
  }));
  const Site site = debian12().main(row.name, row.value);
  for (const ParameterChange& change : plan_setup(site.config(), first_facts()).parameters)
    CHECK(change.name != row.untouched);
}

TEST_CASE("plan_setup: what would defeat a row is set", "[mta][setup]") {
  const Case row = GENERATE(values<Case>({
      {"no TLS at all",
       debian12().main("smtp_tls_security_level", ""),
       {"main.cf: smtp_tls_security_level = may"}},
      {"TLS switched off",
       debian12().main("smtp_tls_security_level", "none"),
       {"main.cf: smtp_tls_security_level = may"}},
      {"smtp_use_tls alone",
       debian12().unset("smtp_tls_security_level").main("smtp_use_tls", "yes"),
       {"main.cf: smtp_tls_security_level = may"}},
      {"smtp_enforce_tls alone verifies names",
       debian12().unset("smtp_tls_security_level").main("smtp_enforce_tls", "yes"),
       {"main.cf: smtp_tls_policy_maps = " + kTls, "main.cf: smtp_tls_security_level = verify"}},
      {"smtp_enforce_tls without names",
       debian12()
           .unset("smtp_tls_security_level")
           .main("smtp_enforce_tls", "yes")
           .main("smtp_tls_enforce_peername", "no"),
       {"main.cf: smtp_tls_security_level = encrypt"}},
      {"smtp_enforce_tls beside a level counts for nothing",
       debian12().main("smtp_enforce_tls", "yes"),
       {}},
      {"cached destinations",
       debian12().main("smtp_connection_cache_destinations", "static:all"),
       {"main.cf: smtp_connection_cache_destinations = "}},
      {"an LMTP session cache",
       debian12().main("lmtp_tls_session_cache_database", "btree:/x"),
       {"main.cf: lmtp_tls_session_cache_database = "}},
      {"MD5 digests",
       debian12().main("smtp_tls_fingerprint_digest", "md5"),
       {"main.cf: smtp_tls_fingerprint_digest = sha256"}},
      {"MD5 digests of LMTP",
       debian12().main("lmtp_tls_fingerprint_digest", "md5"),
       {"main.cf: lmtp_tls_fingerprint_digest = sha256"}},
      {"old IDNA",
       debian12().main("enable_idna2003_compatibility", "yes"),
       {"main.cf: enable_idna2003_compatibility = no"}},
      {"clients without TLS, though there is a certificate",
       debian12().unset("smtpd_tls_security_level"),
       {"main.cf: smtpd_tls_security_level = may"}},
      {"smtpd_use_tls = no counts, without a level",
       debian12().unset("smtpd_tls_security_level").main("smtpd_use_tls", "no"),
       {}},
      {"smtpd_enforce_tls",
       debian12().unset("smtpd_tls_security_level").main("smtpd_enforce_tls", "yes"),
       {"main.cf: smtpd_tls_security_level = encrypt"}},
  }));
  INFO(row.what);
  CHECK(more_than_stock(row.site) == row.want);
  check_idempotent(row.site);
}

TEST_CASE("plan_setup: services with options of their own", "[mta][setup]") {
  const std::string submission = "master.cf: submission/inet: -o ";
  const std::string clone = "master.cf: clone/unix: -o ";
  const auto with_submission = [] { return debian12().service("submission inet y smtpd"); };
  const auto with_clone = [](const char* name, const char* value) {
    return debian12().service("clone unix n smtp").option("clone/unix", name, value);
  };
  const Case row = GENERATE_COPY(values<Case>({
      {"a submission service without its own", with_submission(), {}},
      {"empty restrictions",
       with_submission().option("submission/inet", "smtpd_recipient_restrictions", ""),
       {submission + "smtpd_recipient_restrictions = " + kPolicy}},
      {"restrictions by a $name",
       with_submission().option("submission/inet", "smtpd_recipient_restrictions", "$mua_r"),
       {submission + "smtpd_recipient_restrictions = " + kPolicy + ", $mua_r"}},
      {"milters of its own",
       with_submission().option("submission/inet", "smtpd_milters", "inet:localhost:8891"),
       {submission + "smtpd_milters = " + kOurMilter + ", inet:localhost:8891"}},
      {"no milters",
       with_submission().option("submission/inet", "smtpd_milters", ""),
       {submission + "smtpd_milters = " + kOurMilter}},
      {"milters by a name that has ours",
       with_submission()
           .main("my_milters", "inet:h:1, { unix:forcetls/milter.sock, default_action=tempfail }")
           .option("submission/inet", "smtpd_milters", "$my_milters"),
       {}},
      {"a re-injection listener",
       debian12()
           .service("127.0.0.1:10025 inet n smtpd")
           .option("127.0.0.1:10025/inet", "smtpd_milters", "")
           .option("127.0.0.1:10025/inet", "content_filter", "")
           .option("127.0.0.1:10025/inet", "receive_override_options", "no_milters")
           .option("127.0.0.1:10025/inet", "smtpd_recipient_restrictions",
                   "permit_mynetworks,reject"),
       {"master.cf: 127.0.0.1:10025/inet: -o smtpd_recipient_restrictions = " + kPolicy +
        ", permit_mynetworks,reject"}},
      {"a clone that asks no table: rows only, no defaults",
       with_clone("smtp_tls_policy_maps", ""),
       {clone + "smtp_tls_policy_maps = " + kTls}},
      {"a clone with a table of its own",
       with_clone("smtp_tls_policy_maps", "hash:/c"),
       {clone + "smtp_tls_policy_maps = " + kTls + ", hash:/c, " + kDefault}},
      {"a clone with a level: the table wins anyway",
       with_clone("smtp_tls_security_level", "none"),
       {}},
      {"a clone with the connection cache",
       with_clone("smtp_connection_cache_on_demand", "yes"),
       {clone + "smtp_connection_cache_on_demand = no"}},
      {"a clone with cached destinations",
       with_clone("smtp_connection_cache_destinations", "a.example"),
       {clone + "smtp_connection_cache_destinations = "}},
      {"a clone with a session cache",
       with_clone("smtp_tls_session_cache_database", "btree:/s"),
       {clone + "smtp_tls_session_cache_database = "}},
      {"a clone with a status filter",
       with_clone("smtp_delivery_status_filter", "pcre:/f"),
       {clone + "smtp_delivery_status_filter = "
                "regexp:$config_directory/forcetls-delivery-status, pcre:/f"}},
      {"a silent clone", with_clone("smtp_tls_loglevel", "0"), {clone + "smtp_tls_loglevel = 1"}},
      {"a clone with MD5",
       with_clone("smtp_tls_fingerprint_digest", "md5"),
       {clone + "smtp_tls_fingerprint_digest = sha256"}},
      {"a clone without authorities",
       with_clone("smtp_tls_CApath", ""),
       {}},  // main.cf's new smtp_tls_CAfile holds for it
      {"bounces and warnings",
       debian12()
           .service("bounce unix y bounce")
           .option("bounce/unix", "bounce_size_limit", "99")
           .service("qmgr unix n qmgr")
           .option("qmgr/unix", "delay_warning_time", "0"),
       {"master.cf: bounce/unix: -o bounce_size_limit = 1",
        "master.cf: qmgr/unix: -o delay_warning_time = 1h"}},
      {"an LMTP clone",
       debian12().service("box unix n lmtp").option("box/unix", "lmtp_tls_policy_maps", "hash:/l"),
       {"master.cf: box/unix: -o lmtp_tls_policy_maps = socketmap:unix:forcetls/map.sock:lmtp, "
        "hash:/l"}},
      {"cleanup with milters of its own",
       debian12().option("cleanup/unix", "non_smtpd_milters", "inet:h:1"),
       {"master.cf: cleanup/unix: -o non_smtpd_milters = " + kOurMilter + ", inet:h:1"}},
      {"a service that enforces by the old parameter, which main.cf's level would make void",
       debian12()
           .unset("smtp_tls_security_level")
           .service("strict unix y smtp")
           .option("strict/unix", "smtp_enforce_tls", "yes"),
       {"main.cf: smtp_tls_security_level = may",
        "master.cf: strict/unix: -o smtp_tls_policy_maps = " + kTls,
        "master.cf: strict/unix: -o smtp_tls_security_level = verify"}},
      {"a service that says no to TLS by the old parameter keeps to it",
       debian12()
           .unset("smtp_tls_security_level")
           .service("plain unix y smtp")
           .option("plain/unix", "smtp_use_tls", "no"),
       {"main.cf: smtp_tls_security_level = may",
        "master.cf: plain/unix: -o smtp_tls_security_level = none"}},
      {"a listener that says no to TLS by the old parameter keeps to it",
       with_submission()
           .unset("smtpd_tls_security_level")
           .option("submission/inet", "smtpd_use_tls", "no"),
       {"main.cf: smtpd_tls_security_level = may", submission + "smtpd_tls_security_level = none"}},
      {"a listener that enforces less than main.cf by the old parameters keeps to it",
       with_submission()
           .unset("smtpd_tls_security_level")
           .main("smtpd_enforce_tls", "yes")
           .option("submission/inet", "smtpd_enforce_tls", "no")
           .option("submission/inet", "smtpd_use_tls", "yes"),
       {"main.cf: smtpd_tls_security_level = encrypt",
        submission + "smtpd_tls_security_level = may"}},
      {"a submission service that enforces by the old parameter",
       with_submission()
           .unset("smtpd_tls_security_level")
           .option("submission/inet", "smtpd_enforce_tls", "yes"),
       {"main.cf: smtpd_tls_security_level = may",
        submission + "smtpd_tls_security_level = encrypt"}},
  }));
  INFO(row.what);
  CHECK(more_than_stock(row.site) == row.want);
  check_idempotent(row.site);
}

TEST_CASE("plan_setup: what a person bolted on by hand counts", "[mta][setup]") {
  const auto by_hand = [] {
    return debian12().after(plan_setup(debian12().config(), first_facts()));
  };
  CHECK(changes(plan_setup(by_hand().config(), first_facts())) == Lines{});
  const std::string own = "permit_mynetworks, reject_unauth_destination";
  const Case row = GENERATE_COPY(values<Case>({
      {"without options",
       by_hand().main("smtpd_recipient_restrictions",
                      "check_policy_service unix:forcetls/policy.sock, " + own),
       {}},
      {"the milter behind another",
       by_hand().main("smtpd_milters", "inet:h:1, unix:forcetls/milter.sock"),
       {}},
      {"the policy service behind a permit",
       by_hand().main("smtpd_recipient_restrictions",
                      "permit_mynetworks, check_policy_service unix:forcetls/policy.sock, reject"),
       {"main.cf: smtpd_recipient_restrictions = " + kPolicy + ", permit_mynetworks, reject"}},
      {"the map behind the site's own",
       by_hand().main("smtp_tls_policy_maps", "hash:/a, " + kTls),
       {"main.cf: smtp_tls_policy_maps = " + kTls + ", hash:/a, " + kDefault}},
      {"the defaults before the site's own",
       by_hand().main("smtp_tls_policy_maps", kTls + " " + kDefault + " hash:/a"),
       {"main.cf: smtp_tls_policy_maps = " + kTls + ", hash:/a, " + kDefault}},
  }));
  INFO(row.what);
  CHECK(changes(plan_setup(row.site.config(), first_facts())) == row.want);
  check_idempotent(row.site);
}

TEST_CASE("plan_setup: rows that need signed DNS", "[mta][setup]") {
  SetupFacts facts = first_facts();
  const std::string dnssec = "main.cf: smtp_dns_support_level = dnssec";
  facts.rows = {{"a.example", Level::Secure}};
  CHECK(more_than_stock(debian12(), facts) == Lines{});
  for (const Level level : {Level::Dane, Level::DaneOnly}) {
    facts.rows = {{"a.example", level}};
    const Lines all = changes(plan_setup(debian12().config(), facts));
    CHECK(std::count(all.begin(), all.end(), dnssec) == 1);
    const Site off = debian12().main("smtp_dns_support_level", "disabled");
    const Plan plan = plan_setup(off.config(), facts);
    CHECK(changes(plan) == kStockChanges);
    CHECK_THAT(plan.advice.front(), ContainsSubstring("disabled"));
  }
}

TEST_CASE("plan_setup: the administrator's word on bounces", "[mta][setup]") {
  SetupFacts facts = first_facts();
  facts.bounce_bodies = true;
  const auto limit_for = [&](const Site& site) {
    check_idempotent(site, facts);
    for (const ParameterChange& change : plan_setup(site.config(), facts).parameters)
      if (change.name == "bounce_size_limit") return change.where() + " = " + change.value;
    return std::string("left alone");
  };
  // Written into main.cf, so that the doctor can tell it from what nobody has thought of.
  CHECK(limit_for(debian12()) == "main.cf: bounce_size_limit = 50000");
  CHECK(limit_for(debian12().main("bounce_size_limit", "9000")) == "left alone");
}
