#include "tests/unit/shared/mta/doctor_bench.h"

#include <fmt/format.h>

namespace forcetls {
namespace {

constexpr const char* kOurStatusFilter = "regexp:/etc/postfix/forcetls-delivery-status";
constexpr const char* kMilterOfSnippet = "{ unix:forcetls/milter.sock, default_action=tempfail }";

}  // namespace

Bench::Bench(Release release)
    : release_(release), site_(release == Release::Debian12 ? debian12() : debian13()) {
  policy.mutable_settings().enforcing_transports = {"smtp", "relay", "forcetls", "esmtp"};
  policy.mutable_settings().own_domains = {"mail.ours.example", "ours.example"};
  facts.is_running = true;
  facts.policy.path = "/p.db";
  facts.settings = {{"floor_exclude", ""}, {"floor_min_protocol", ""}, {"floor_ciphers", ""}};
  facts.status_answers[kOurStatusFilter] = "4.5.1 TLS is required";
}

Bench& Bench::bolt_on() {
  set("smtp_tls_policy_maps",
      "socketmap:unix:forcetls/map.sock:tls, socketmap:unix:forcetls/map.sock:default");
  set("lmtp_tls_policy_maps", "socketmap:unix:forcetls/map.sock:lmtp");
  set("smtp_tls_loglevel", "1").set("smtp_tls_fingerprint_digest", "sha256");
  set("smtp_tls_CAfile", "/etc/ssl/certs/ca-certificates.crt");
  set("lmtp_connection_cache_on_demand", "no");
  set("smtp_connection_cache_on_demand", "no").set("smtp_tls_session_cache_database", "");
  set("smtp_delivery_status_filter", kOurStatusFilter);
  set("delay_warning_time", "1h").set("bounce_size_limit", "1");
  set("smtpd_recipient_restrictions",
      "check_policy_service { unix:forcetls/policy.sock, timeout=10s, "
      "{ default_action = 451 4.7.0 try again later } }");
  set("smtpd_milters", kMilterOfSnippet).set("non_smtpd_milters", kMilterOfSnippet);
  if (release_ == Release::Debian13) set("tls_required_enable", "no");
  return *this;
}

Bench& Bench::service(const BenchService& service) {
  const auto slash = service.label.rfind('/');
  site_.service(fmt::format("{} {} {} {}", service.label.substr(0, slash),
                            service.label.substr(slash + 1), service.chrooted ? "y" : "n",
                            service.program));
  for (const auto& [name, value] : service.options) site_.option(service.label, name, value);
  return *this;
}

std::string in_one_line(const doctor::Finding& finding) {
  return fmt::format("{} {} {} @ {}", doctor::to_text(finding.severity),
                     doctor::to_text(finding.certainty), finding.id, finding.where);
}

std::vector<std::string> Bench::told() const {
  std::vector<std::string> lines;
  for (const doctor::Finding& finding : findings())
    if (finding.severity != doctor::Severity::Note) lines.push_back(in_one_line(finding));
  return lines;
}

}  // namespace forcetls
