// A mail host to be examined: a site, changed as a test says, a policy, and facts of a healthy
// host.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "shared/mta/doctor.h"
#include "tests/unit/fakes/rule_store.h"
#include "tests/unit/shared/mta/site.h"

namespace forcetls {

/// "leak certain map-missing @ sendmail.cf: K lines"
std::string in_one_line(const doctor::Finding& finding);

enum class Release { Debian12, Debian13 };

/// An entry of master.cf.
struct BenchService {
  std::string label, program;
  bool chrooted = true;
  std::map<std::string, std::string> options{};
};

class Bench {
 public:
  explicit Bench(Release release = Release::Debian12);

  /// The lines of packaging/postfix/main.cf.forcetls.
  Bench& bolt_on();
  Bench& set(const std::string& name, const std::string& value) {
    site_.main(name, value);
    return *this;
  }
  Bench& unset(const std::string& name) {
    site_.unset(name);
    return *this;
  }
  Bench& option(const std::string& label, const std::string& name, const std::string& value) {
    site_.option(label, name, value);
    return *this;
  }
  Bench& service(const BenchService& service);
  /// Its mail goes straight there, unless a test says otherwise.
  Bench& row(FakeRule rule) {
    if (const std::string address = doctor::sample_address(rule.key); !address.empty())
      facts.routes.try_emplace(address,
                               ResolvedRoute{"smtp", address.substr(address.find('@') + 1)});
    policy.add(std::move(rule));
    return *this;
  }
  Bench& route(const std::string& address, const std::string& transport,
               const std::string& next_hop) {
    facts.routes[address] = {transport, next_hop};
    return *this;
  }
  /// bank.example must have `level`; its mail goes straight there.
  Bench& bank(Level level = Level::Secure) {
    row({.key = "bank.example", .outbound = level});
    return route("postmaster@bank.example", "smtp", "bank.example");
  }

  PostfixConfig config() const { return site_.config(); }
  std::vector<doctor::Finding> findings() const {
    return doctor::examine(config(), policy, facts, at(0));
  }
  /// "leak certain policy-map-missing @ main.cf: smtp_tls_policy_maps", without notes.
  std::vector<std::string> told() const;

  FakeRuleStore policy;
  doctor::HostFacts facts;

 private:
  Release release_;
  Site site_;
};

}  // namespace forcetls
