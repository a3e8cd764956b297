#include "ctl/doctor_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "shared/base/log.h"

namespace forcetls {
namespace {

using doctor::Severity;

/// The worst is not always the first: some must be closed before the others. Never of no findings.
Severity worst_severity(const DoctorReport& report) {
  return std::max_element(report.findings.begin(), report.findings.end(),
                          [](const doctor::Finding& a, const doctor::Finding& b) {
                            return a.severity < b.severity;
                          })
      ->severity;
}

std::string_view worst_of(const DoctorReport& report) {
  return report.findings.empty() ? "none" : doctor::to_text(worst_severity(report));
}

auto count_of(const DoctorReport& report, Severity severity) {
  return std::count_if(
      report.findings.begin(), report.findings.end(),
      [=](const doctor::Finding& finding) { return finding.severity == severity; });
}

std::string summary(const DoctorReport& report) {
  const std::string mta = fmt::format("{} {}, {}", report.is_sendmail ? "Sendmail" : "Postfix",
                                      report.version, report.configuration);
  if (report.findings.empty()) return fmt::format("{}: nothing found\n", mta);
  return fmt::format("{}: leaks: {}, warnings: {}, notes: {}\n", mta,
                     count_of(report, Severity::Leak), count_of(report, Severity::Warning),
                     count_of(report, Severity::Note));
}

}  // namespace

std::string in_words(const DoctorReport& report) {
  std::string text;
  for (const doctor::Finding& finding : report.findings)
    text +=
        fmt::format("{}: {} ({})\n  {}\n  {}\n  fix: {}\n\n", doctor::to_text(finding.severity),
                    finding.id, doctor::to_text(finding.certainty), without_controls(finding.where),
                    without_controls(finding.what), without_controls(finding.fix));
  return text + summary(report);
}

std::string in_json(const DoctorReport& report) {
  nlohmann::ordered_json json;
  json[report.is_sendmail ? "sendmail" : "postfix"] = report.version;
  json[report.is_sendmail ? "configuration" : "config_directory"] = report.configuration;
  json["worst"] = std::string(worst_of(report));
  json["findings"] = nlohmann::ordered_json::array();
  for (const doctor::Finding& finding : report.findings)
    json["findings"].push_back({{"id", finding.id},
                                {"severity", std::string(doctor::to_text(finding.severity))},
                                {"certainty", std::string(doctor::to_text(finding.certainty))},
                                {"where", finding.where},
                                {"what", finding.what},
                                {"fix", finding.fix}});
  // main.cf may hold any bytes: replace what is no UTF-8 rather than fail.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

int exit_status_of(const DoctorReport& report) {
  if (report.findings.empty()) return kExitHealthy;
  switch (worst_severity(report)) {
    case Severity::Note:
      return kExitHealthy;
    case Severity::Warning:
      return kExitWarning;
    case Severity::Leak:
      return kExitLeak;
  }
  return kExitLeak;
}

int print_report(const Result<DoctorReport>& report, bool as_json) {
  if (!report) {
    fmt::print(stderr, "forcetls doctor: {}\n", without_controls(report.error().context));
    return kExitNotExamined;
  }
  fmt::print("{}", as_json ? in_json(*report) : in_words(*report));
  return exit_status_of(*report);
}

}  // namespace forcetls
