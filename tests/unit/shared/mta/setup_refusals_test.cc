// What setup refuses to plan, and what it takes up again after it was broken off.
#include "shared/mta/setup_plan.h"
#include "tests/unit/shared/mta/site.h"

using namespace forcetls;

TEST_CASE("plan_setup: what cannot be done is refused in one line", "[mta][setup]") {
  struct Refused {
    Site site;
    const char* want;
  };
  const Refused row = GENERATE(values<Refused>({
      {debian12().main("smtp_tls_per_site", "hash:/s"), "main.cf: smtp_tls_per_site: Postfix"},
      {debian12().service("c unix y smtp").option("c/unix", "smtp_tls_per_site", "hash:/s"),
       "master.cf: c/unix: smtp_tls_per_site"},
      {debian("3.5.25"), "Postfix 3.5.25 is too old"},
      {debian12().main("smtp_tls_mandatory_exclude_ciphers", "RC4, !MD5"), "is no cipher name"},
  }));
  const Plan plan = plan_setup(row.site.config(), first_facts());
  REQUIRE(plan.refusals.size() >= 1);
  CHECK_THAT(plan.refusals.front(), ContainsSubstring(row.want));
  CHECK(plan.refusals.front().find('\n') == std::string::npos);
}

TEST_CASE("plan_setup: broken off after master.cf, it comes to the same end", "[mta][setup]") {
  // An explicit level in main.cf makes the older parameters void: what services have of them has
  // to be in master.cf by then, or it is lost.
  const Site site = debian12()
                        .unset("smtp_tls_security_level")
                        .unset("smtpd_tls_security_level")
                        .service("mx unix y smtp")
                        .option("mx/unix", "smtp_enforce_tls", "yes")
                        .service("587 inet y smtpd")
                        .option("587/inet", "smtpd_enforce_tls", "yes");
  const Plan plan = plan_setup(site.config(), first_facts());
  Plan half = plan;
  std::erase_if(half.parameters, [](const ParameterChange& c) { return c.service.empty(); });
  const Site broken_off = site.after(half);
  const Site end = broken_off.after(plan_setup(broken_off.config(), first_facts()));
  for (const char* label : {"mx", "587"}) {
    INFO(label);
    const std::string name =
        label == std::string("mx") ? "smtp_tls_security_level" : "smtpd_tls_security_level";
    const auto config = end.config();
    const PostfixService* service =
        config.find_service(label, label == std::string("mx") ? "unix" : "inet");
    REQUIRE(service != nullptr);
    const std::string level = config.value(*service, name);
    CHECK((level == "encrypt" || level == "verify"));
  }
}
