#include "tests/unit/shared/mta/doctor_bench.h"

#include <fmt/format.h>

#include <stdexcept>

namespace forcetls {
namespace {

constexpr const char* kStatusFilter = "regexp:/etc/postfix/forcetls-delivery-status";
constexpr const char* kMilter = "{ unix:forcetls/milter.sock, default_action=tempfail }";

std::string lines(const std::map<std::string, std::string>& parameters) {
  std::string text;
  for (const auto& [name, value] : parameters) text += fmt::format("{} = {}\n", name, value);
  return text;
}

}  // namespace

Bench::Bench(Release release) : release_(release) {
  main_cf_ = {{"smtp_tls_CApath", "/etc/ssl/certs"},
              {"smtp_tls_security_level", "may"},
              {"smtp_tls_session_cache_database", "btree:${data_directory}/smtp_scache"},
              {"compatibility_level", release == Release::Debian12 ? "3.6" : "3.9"},
              {"mydestination", "$myhostname, localhost.$mydomain, localhost"},
              {"relayhost", ""}};
  services_ = {{"smtp/inet", "smtpd"},
               {"pickup/unix", "pickup"},
               {"cleanup/unix", "cleanup"},
               {"qmgr/unix", "qmgr", false},
               {"rewrite/unix", "trivial-rewrite"},
               {"bounce/unix", "bounce"},
               {"defer/unix", "bounce"},
               {"proxymap/unix", "proxymap", false},
               {"smtp/unix", "smtp"},
               {"relay/unix", "smtp"},
               {"error/unix", "error"},
               {"local/unix", "local", false},
               {"virtual/unix", "virtual", false},
               {"lmtp/unix", "lmtp"},
               {"uucp/unix", "pipe", false}};
  option("relay/unix", "syslog_name", "postfix/$service_name");
  policy.mutable_settings().enforcing_transports = {"smtp", "relay", "forcetls", "esmtp"};
  policy.mutable_settings().own_domains = {"mail.ours.example", "localhost.ours.example"};
  facts.is_running = true;
  facts.policy.path = "/p.db";
  facts.settings = {{"floor_exclude", ""}, {"floor_min_protocol", ""}, {"floor_ciphers", ""}};
  facts.status_answers[kStatusFilter] = "4.5.1 TLS is required";
}

Bench& Bench::bolt_on() {
  set("smtp_tls_policy_maps",
      "socketmap:unix:forcetls/map.sock:tls, socketmap:unix:forcetls/map.sock:default");
  set("lmtp_tls_policy_maps", "socketmap:unix:forcetls/map.sock:lmtp");
  set("smtp_tls_loglevel", "1").set("smtp_tls_fingerprint_digest", "sha256");
  set("smtp_tls_CAfile", "/etc/ssl/certs/ca-certificates.crt");
  set("smtp_connection_cache_on_demand", "no").set("smtp_tls_session_cache_database", "");
  set("smtp_delivery_status_filter", kStatusFilter);
  set("delay_warning_time", "1h").set("bounce_size_limit", "1");
  set("smtpd_recipient_restrictions",
      "check_policy_service { unix:forcetls/policy.sock, timeout=10s, "
      "{ default_action = 451 4.7.0 try again later } }");
  set("smtpd_milters", kMilter).set("non_smtpd_milters", kMilter);
  if (release_ == Release::Debian13) set("tls_required_enable", "no");
  return *this;
}

Bench& Bench::option(const std::string& label, const std::string& name, const std::string& value) {
  for (BenchService& service : services_)
    if (service.label == label) service.options[name] = value;
  return *this;
}

PostfixConfig Bench::config() const {
  PostconfTexts texts{.all = kDefaults};
  if (release_ == Release::Debian13)
    texts.all +=
        "mail_version = 3.10.5\ntls_required_enable = yes\nmilter_default_action = shutdown\n";
  texts.set = lines(main_cf_);
  texts.all += texts.set;
  for (const BenchService& service : services_) {
    const auto slash = service.label.rfind('/');
    const auto field = [&](std::string_view name, std::string_view value) {
      texts.fields += fmt::format("{}/{} = {}\n", service.label, name, value);
    };
    field("service", service.label.substr(0, slash));
    field("type", service.label.substr(slash + 1));
    field("chroot", service.chrooted ? "y" : "n");
    field("command", service.program);
    for (const auto& [name, value] : service.options)
      texts.overrides += fmt::format("{}/{} = {}\n", service.label, name, value);
  }
  auto parsed = PostfixConfig::parse(texts);
  if (!parsed) throw std::runtime_error(parsed.error().context);
  return *std::move(parsed);
}

std::vector<std::string> Bench::told() const {
  std::vector<std::string> lines;
  for (const doctor::Finding& finding : findings())
    if (finding.severity != doctor::Severity::Note)
      lines.push_back(fmt::format("{} {} {} @ {}", doctor::to_text(finding.severity),
                                  doctor::to_text(finding.certainty), finding.id, finding.where));
  return lines;
}

}  // namespace forcetls
