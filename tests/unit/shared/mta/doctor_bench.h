// A mail host to be examined: Debian's configuration as postconf prints it, changed as a test says,
// a policy, and facts of a healthy host.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "shared/mta/doctor.h"
#include "tests/unit/fakes/rule_store.h"

namespace forcetls {

enum class Release { Debian12, Debian13 };

/// postconf's defaults, as far as the doctor looks at them (Postfix 3.7.11).
constexpr const char* kDefaults = R"(always_bcc =
bounce_size_limit = 50000
compatibility_level = 0
config_directory = /etc/postfix
content_filter =
data_directory = /var/lib/postfix
default_transport = smtp
delay_warning_time = 0h
fallback_relay =
inet_interfaces = all
lmtp_connection_cache_destinations =
lmtp_connection_cache_on_demand = no
lmtp_fallback_relay =
lmtp_tls_policy_maps =
lmtp_tls_session_cache_database =
local_transport = local:$myhostname
mail_owner = postfix
mail_version = 3.7.11
mailbox_transport =
maximal_queue_lifetime = 5d
milter_default_action = tempfail
mydestination = $myhostname, localhost.$mydomain, localhost
mydomain = ours.example
myhostname = mail.ours.example
non_smtpd_milters =
queue_directory = /var/spool/postfix
receive_override_options =
recipient_bcc_maps =
relay_domains = ${{$compatibility_level} <level {2} ? {$mydestination} : {}}
relay_transport = relay
sender_bcc_maps =
sender_dependent_default_transport_maps =
sender_dependent_relayhost_maps =
smtp_connection_cache_destinations =
smtp_connection_cache_on_demand = yes
smtp_delivery_status_filter = $default_delivery_status_filter
smtp_dns_support_level =
smtp_enforce_tls = no
smtp_fallback_relay = $fallback_relay
smtp_tls_CAfile =
smtp_tls_CApath =
smtp_tls_connection_reuse = no
smtp_tls_exclude_ciphers =
smtp_tls_fingerprint_digest = ${{$compatibility_level} <level {3.6} ? {md5} : {sha256}}
smtp_tls_loglevel = 0
smtp_tls_mandatory_ciphers = medium
smtp_tls_mandatory_exclude_ciphers =
smtp_tls_mandatory_protocols = >=TLSv1
smtp_tls_per_site =
smtp_tls_policy_maps =
smtp_tls_security_level =
smtp_tls_session_cache_database =
smtp_use_tls = no
smtpd_enforce_tls = no
smtpd_milters =
smtpd_policy_service_default_action = 451 4.3.5 Server configuration problem
smtpd_proxy_filter =
smtpd_recipient_restrictions =
smtpd_relay_restrictions = ${{$compatibility_level} <level {1} ? {} : {permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination}}
smtpd_tls_security_level =
smtpd_tls_wrappermode = no
tls_append_default_CA = no
transport_maps =
virtual_alias_domains = $virtual_alias_maps
virtual_mailbox_domains = $virtual_mailbox_maps
virtual_transport = virtual
)";

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
    main_cf_[name] = value;
    return *this;
  }
  Bench& unset(const std::string& name) {
    main_cf_.erase(name);
    return *this;
  }
  Bench& option(const std::string& label, const std::string& name, const std::string& value);
  Bench& service(BenchService service) {
    services_.push_back(std::move(service));
    return *this;
  }
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

  PostfixConfig config() const;
  std::vector<doctor::Finding> findings() const {
    return doctor::examine(config(), policy, facts, at(0));
  }
  /// "leak certain policy-map-missing @ main.cf: smtp_tls_policy_maps", without notes.
  std::vector<std::string> told() const;

  FakeRuleStore policy;
  doctor::HostFacts facts;

 private:
  Release release_;
  std::map<std::string, std::string> main_cf_;
  std::vector<BenchService> services_;
};

}  // namespace forcetls
