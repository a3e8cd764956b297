// A Postfix site as a test writes it down: lines of main.cf and entries of master.cf on top of what
// Debian installs, turned into the texts that postconf would print.
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
  Site after(const Plan& plan) const {
    Site site = *this;
    for (const ParameterChange& change : plan.parameters)
      change.service.empty() ? site.main(change.name, change.value)
                             : site.option(change.service, change.name, change.value);
    return site;
  }

  PostfixConfig config() const {
    PostconfTexts texts;
    texts.all = defaults();
    for (const auto& [name, value] : set_) texts.set += name + " = " + value + "\n";
    for (const auto& entry : entries_) {
      const std::string label = entry[0] + "/" + entry[1];
      texts.fields += label + "/service = " + entry[0] + "\n" + label + "/type = " + entry[1] +
                      "\n" + label + "/chroot = " + entry[2] + "\n" + label +
                      "/command = " + entry[3] + "\n";
    }
    for (const auto& [label, options] : options_)
      for (const auto& [name, value] : options)
        texts.overrides += label + "/" + name + " = " + value + "\n";
    auto parsed = PostfixConfig::parse(texts);
    REQUIRE(parsed);
    return *std::move(parsed);
  }

 private:
  /// As postconf -d prints them, of the parameters that setup looks at.
  std::string defaults() const {
    std::string text = "mail_version = " + version_ + R"(
bounce_size_limit = 50000
compatibility_level = 0
config_directory = /etc/postfix
content_filter =
default_delivery_status_filter =
default_transport = smtp
delay_warning_time = 0h
enable_long_queue_ids = no
enable_idna2003_compatibility = no
lmtp_connection_cache_destinations =
lmtp_connection_cache_on_demand = yes
lmtp_delivery_status_filter = $default_delivery_status_filter
lmtp_tls_CAfile =
lmtp_tls_CApath =
lmtp_tls_exclude_ciphers =
lmtp_tls_fingerprint_cert_match =
lmtp_tls_fingerprint_digest = ${{$compatibility_level} <level {3.6} ? {md5} : {sha256}}
lmtp_tls_loglevel = 0
lmtp_tls_mandatory_ciphers = medium
lmtp_tls_mandatory_exclude_ciphers =
lmtp_tls_mandatory_protocols = >=TLSv1
lmtp_tls_per_site =
lmtp_tls_policy_maps =
lmtp_tls_security_level =
lmtp_tls_session_cache_database =
mydestination = $myhostname, localhost.$mydomain, localhost
mydomain = ours.example
myhostname = mail.ours.example
non_smtpd_milters =
parent_domain_matches_subdomains = debug_peer_list,fast_flush_domains,relay_domains
receive_override_options =
relay_domains = ${{$compatibility_level} <level {2} ? {$mydestination} : {}}
relay_transport = relay
relayhost =
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
smtp_tls_enforce_peername = yes
smtp_tls_exclude_ciphers =
smtp_tls_fingerprint_cert_match =
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
smtpd_proxy_filter =
smtpd_recipient_restrictions =
smtpd_tls_cert_file =
smtpd_tls_chain_files =
smtpd_tls_dcert_file =
smtpd_tls_eccert_file =
smtpd_tls_security_level =
smtpd_use_tls = no
transport_maps =
virtual_alias_domains = $virtual_alias_maps
virtual_alias_maps = $virtual_maps
virtual_mailbox_domains = $virtual_mailbox_maps
)";
    if (version_.starts_with("3.1")) text += "tls_required_enable = yes\n";
    return text;
  }

  std::string version_;
  std::map<std::string, std::string> set_;
  std::vector<std::vector<std::string>> entries_;
  std::map<std::string, std::map<std::string, std::string>> options_;
};

/// What Debian's postinst writes for "Internet Site".
inline Site debian(const std::string& version) {
  Site site(version);
  site.main("compatibility_level", "3.6")
      .main("mydestination", "$myhostname, ours.example, localhost.localdomain, localhost")
      .main("relayhost", "")
      .main("smtp_tls_CApath", "/etc/ssl/certs")
      .main("smtp_tls_security_level", "may")
      .main("smtp_tls_session_cache_database", "btree:${data_directory}/smtp_scache")
      .main("smtpd_relay_restrictions",
            "permit_mynetworks permit_sasl_authenticated defer_unauth_destination")
      .main("smtpd_tls_cert_file", "/etc/ssl/certs/ssl-cert-snakeoil.pem")
      .main("smtpd_tls_security_level", "may");
  for (const char* entry :
       {"smtp inet y smtpd", "pickup unix y pickup", "cleanup unix y cleanup", "smtp unix y smtp",
        "relay unix y smtp", "local unix n local", "lmtp unix y lmtp"})
    site.service(entry);
  return site.option("relay/unix", "syslog_name", "postfix/$service_name");
}
inline Site debian12() { return debian("3.7.11"); }
inline Site debian13() { return debian("3.10.5"); }

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
