#include "tests/unit/shared/mta/site.h"

namespace forcetls {
namespace {

/// As postconf -d prints them, of the parameters that setup and the doctor look at.
constexpr const char* kDefaults = R"(always_bcc =
bounce_size_limit = 50000
compatibility_level = 0
config_directory = /etc/postfix
content_filter =
data_directory = /var/lib/postfix
default_delivery_status_filter =
default_transport = smtp
delay_warning_time = 0h
enable_idna2003_compatibility = no
enable_long_queue_ids = no
fallback_relay =
inet_interfaces = all
lmtp_connection_cache_destinations =
lmtp_connection_cache_on_demand = yes
lmtp_delivery_status_filter = $default_delivery_status_filter
lmtp_fallback_relay =
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
local_transport = local:$myhostname
mail_owner = postfix
mailbox_transport =
maximal_queue_lifetime = 5d
milter_default_action = tempfail
mydestination = $myhostname, localhost.$mydomain, localhost
mydomain = ours.example
myhostname = mail.ours.example
non_smtpd_milters =
parent_domain_matches_subdomains = debug_peer_list,fast_flush_domains,relay_domains
queue_directory = /var/spool/postfix
receive_override_options =
recipient_bcc_maps =
relay_domains = ${{$compatibility_level} <level {2} ? {$mydestination} : {}}
relay_transport = relay
relayhost =
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
smtpd_policy_service_default_action = 451 4.3.5 Server configuration problem
smtpd_proxy_filter =
smtpd_recipient_restrictions =
smtpd_relay_restrictions = ${{$compatibility_level} <level {1} ? {} : {permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination}}
smtpd_tls_cert_file =
smtpd_tls_chain_files =
smtpd_tls_dcert_file =
smtpd_tls_eccert_file =
smtpd_tls_security_level =
smtpd_tls_wrappermode = no
smtpd_use_tls = no
tls_append_default_CA = no
transport_maps =
virtual_alias_domains = $virtual_alias_maps
virtual_alias_maps = $virtual_maps
virtual_mailbox_domains = $virtual_mailbox_maps
virtual_transport = virtual
)";

/// True for the releases that obey TLS-Required: no.
bool obeys_header(const std::string& version) { return version.starts_with("3.1"); }

}  // namespace

Site Site::after(const Plan& plan) const {
  Site site = *this;
  for (const ParameterChange& change : plan.parameters)
    change.service.empty() ? site.main(change.name, change.value)
                           : site.option(change.service, change.name, change.value);
  return site;
}

PostfixConfig Site::config() const {
  PostconfTexts texts;
  texts.all = "mail_version = " + version_ + "\n" + kDefaults;
  if (obeys_header(version_)) texts.all += "tls_required_enable = yes\n";
  for (const auto& [name, value] : set_) texts.set += name + " = " + value + "\n";
  for (const auto& entry : entries_) {
    const std::string label = entry[0] + "/" + entry[1];
    texts.fields += label + "/service = " + entry[0] + "\n" + label + "/type = " + entry[1] + "\n" +
                    label + "/chroot = " + entry[2] + "\n" + label + "/command = " + entry[3] +
                    "\n";
  }
  for (const auto& [label, options] : options_)
    for (const auto& [name, value] : options)
      texts.overrides += label + "/" + name + " = " + value + "\n";
  auto parsed = PostfixConfig::parse(texts);
  REQUIRE(parsed);
  return *std::move(parsed);
}

Site debian(const std::string& version) {
  Site site(version);
  site.main("compatibility_level", obeys_header(version) ? "3.9" : "3.6")
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
       {"smtp inet y smtpd", "pickup unix y pickup", "cleanup unix y cleanup", "qmgr unix n qmgr",
        "rewrite unix y trivial-rewrite", "bounce unix y bounce", "defer unix y bounce",
        "proxymap unix n proxymap", "smtp unix y smtp", "relay unix y smtp", "error unix y error",
        "local unix n local", "virtual unix n virtual", "lmtp unix y lmtp", "uucp unix n pipe"})
    site.service(entry);
  return site.option("relay/unix", "syslog_name", "postfix/$service_name");
}

Site debian12() { return debian("3.7.11"); }
Site debian13() { return debian("3.10.5"); }

}  // namespace forcetls
