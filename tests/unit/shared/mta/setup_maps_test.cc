// Whom setup lets Postfix ask, where main.cf's own level is stricter than what we could answer.
#include "shared/mta/setup_plan.h"
#include "tests/unit/shared/mta/site.h"

using namespace forcetls;

namespace {

const std::string kBoth = kTls + ", " + std::string(kDefaultMap);

/// The maps that are asked in main.cf, or in a service, once the plan is carried out.
std::string maps_after(const Site& site, const char* service = nullptr) {
  const auto config = site.after(plan_setup(site.config(), first_facts())).config();
  if (service == nullptr) return config.value("smtp_tls_policy_maps");
  const PostfixService* found = config.find_service(service, "unix");
  REQUIRE(found != nullptr);
  return config.value(*found, "smtp_tls_policy_maps");
}

void check_settled(const Site& site) {
  const Site after = site.after(plan_setup(site.config(), first_facts()));
  CHECK(plan_setup(after.config(), first_facts()).parameters.empty());
}

Site at_level(const std::string& level) {
  return debian12().main("smtp_tls_security_level", level);
}

}  // namespace

TEST_CASE("plan_setup: where main.cf's level is stricter, the defaults are not asked",
          "[mta][setup]") {
  const std::string level = GENERATE("verify", "secure", "fingerprint", "dane-only");
  INFO(level);
  CHECK(maps_after(at_level(level)) == kTls);
  check_settled(at_level(level));
  const Site own = at_level(level).main("smtp_tls_policy_maps", "hash:/a $b").main("b", "cdb:/b");
  CHECK(maps_after(own) == kTls + ", hash:/a cdb:/b");
  check_settled(own);
  // By hand, or by an --apply before main.cf became stricter.
  const Site before = at_level(level).main("smtp_tls_policy_maps", kBoth);
  CHECK(maps_after(before) == kTls);
  check_settled(before);
  Site later = before.after(plan_setup(before.config(), first_facts()));
  CHECK(maps_after(later.main("smtp_tls_security_level", "may")) == kBoth);
}

TEST_CASE("plan_setup: where main.cf's level is no stricter, they are", "[mta][setup]") {
  const std::string level = GENERATE("", "none", "may", "encrypt", "dane");
  INFO(level);
  CHECK(maps_after(at_level(level)) == kBoth);
  check_settled(at_level(level));
}

TEST_CASE("plan_setup: older parameters that ask for more count, too", "[mta][setup]") {
  const Site verify = at_level("").main("smtp_enforce_tls", "yes");
  CHECK(maps_after(verify) == kTls);
  check_settled(verify);
  Site encrypt = verify;
  CHECK(maps_after(encrypt.main("smtp_tls_enforce_peername", "no")) == kBoth);
}

TEST_CASE("plan_setup: a service of another level than main.cf has maps of its own",
          "[mta][setup]") {
  const auto service_at = [](Site site, const char* level) {
    return site.service("c unix y smtp").option("c/unix", "smtp_tls_security_level", level);
  };
  const Site stricter = service_at(debian12(), "secure");
  CHECK(maps_after(stricter) == kBoth);
  CHECK(maps_after(stricter, "c") == kTls);
  check_settled(stricter);
  const Site weaker = service_at(at_level("secure"), "may");
  CHECK(maps_after(weaker) == kTls);
  CHECK(maps_after(weaker, "c") == kBoth);
  CHECK(maps_after(weaker, "smtp") == kTls);
  check_settled(weaker);
  const Site same = service_at(debian12(), "encrypt");
  CHECK(maps_after(same, "c") == kBoth);
  for (const ParameterChange& change : plan_setup(same.config(), first_facts()).parameters)
    CHECK(change.service.empty());
  Site own = stricter;
  own.option("c/unix", "smtp_tls_policy_maps", "hash:/own");
  CHECK(maps_after(own, "c") == kTls + ", hash:/own");
  check_settled(own);
}

TEST_CASE("plan_setup: rows that ask for less than main.cf are named", "[mta][setup]") {
  struct Row {
    const char* site;
    Level row;
    bool said;
  };
  const Row row = GENERATE(values<Row>({
      {"may", Level::None, false},
      {"encrypt", Level::May, true},
      {"encrypt", Level::Dane, true},
      {"encrypt", Level::Encrypt, false},
      {"verify", Level::Encrypt, true},
      {"secure", Level::Verify, true},
      {"secure", Level::Fingerprint, false},
      {"secure", Level::Secure, false},
      {"dane-only", Level::Secure, false},
      {"dane", Level::May, true},
      {"dane", Level::Encrypt, false},
  }));
  INFO(row.site << ' ' << to_text(row.row));
  SetupFacts facts = first_facts();
  facts.rows = {{"bank.example", row.row}};
  const auto said = [&] {
    return advises(plan_setup(at_level(row.site).config(), facts),
                   "the row of bank.example (" + std::string(to_text(row.row)) + ")");
  };
  CHECK(said() == row.said);
  facts.rows[0].in_force = false;
  CHECK_FALSE(said());
  facts.rows = {{"a.example", Level::None}, {"b.example", Level::None}};
  CHECK(advises(plan_setup(at_level("secure").config(), facts),
                "the row of a.example (none) and 1 more asks for less"));
}

TEST_CASE("plan_setup: what the defaults and rows would change of main.cf's names is said",
          "[mta][setup]") {
  CHECK(advises(plan_setup(at_level("dane").config(), first_facts()), "level is dane"));
  CHECK_FALSE(advises(plan_setup(at_level("may").config(), first_facts()), "level is dane"));
  const auto names = [](const char* value) {
    const Site site = debian12().main("smtp_tls_secure_cert_match", value);
    return advises(plan_setup(site.config(), first_facts()), "smtp_tls_secure_cert_match");
  };
  CHECK(names("nexthop"));
  CHECK_FALSE(names("nexthop, dot-nexthop"));
  CHECK_FALSE(names("hostname"));
}
