// A Postfix site as a test writes it down: lines of main.cf and entries of master.cf on top of what
// Debian installs, turned into the texts that postconf would print. For the tests of setup and of
// the doctor.
//
//   Site site = debian12();
//   site.main("relayhost", "[relay.example]:587").service("submission inet y smtpd");
//   site.option("submission/inet", "smtpd_recipient_restrictions", "");
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "shared/mta/setup_plan.h"
#include "tests/unit/catch.h"

namespace forcetls {

class Site {
 public:
  explicit Site(std::string version) : version_(std::move(version)) {}

  Site& main(const std::string& name, const std::string& value) {
    set_[name] = value;
    return *this;
  }
  Site& unset(const std::string& name) {
    set_.erase(name);
    return *this;
  }
  /// "name type chroot program".
  Site& service(const std::string& entry) {
    entries_.push_back(split_list(entry));
    return *this;
  }
  Site& option(const std::string& label, const std::string& name, const std::string& value) {
    options_[label][name] = value;
    return *this;
  }
  /// The site once the plan is carried out.
  Site after(const Plan& plan) const;

  PostfixConfig config() const;

 private:
  std::string version_;
  std::map<std::string, std::string> set_;
  std::vector<std::vector<std::string>> entries_;
  std::map<std::string, std::map<std::string, std::string>> options_;
};

/// What Debian's postinst writes for "Internet Site", with that release of Postfix.
Site debian(const std::string& version);
Site debian12();
Site debian13();

inline const std::string kTls = "socketmap:unix:forcetls/map.sock:tls";
inline const std::string kDefault = "socketmap:unix:forcetls/map.sock:default";

inline bool advises(const Plan& plan, const std::string& part) {
  for (const std::string& line : plan.advice)
    if (line.find(part) != line.npos) return true;
  return false;
}

/// The table setting as `forcetls init` makes it, as far as setup writes it.
inline SetupFacts first_facts() {
  SetupFacts facts;
  facts.policy_db = "/p.db";
  facts.settings = {{"floor_exclude", ""},
                    {"floor_min_protocol", ""},
                    {"floor_ciphers", ""},
                    {"own_domains", ""},
                    {"enforcing_transports", "smtp relay forcetls esmtp"}};
  return facts;
}

}  // namespace forcetls
