#include "ctl/doctor_report.h"

#include <nlohmann/json.hpp>

#include "tests/unit/catch.h"

using namespace forcetls;
using doctor::Certainty;
using doctor::Finding;
using doctor::Severity;

namespace {

DoctorReport report_of(std::vector<Severity> severities) {
  DoctorReport report{"3.7.11", "/etc/postfix", {}};
  for (const Severity severity : severities)
    report.findings.push_back(
        {"some-id", severity, Certainty::Likely, "main.cf: x", "Mail leaks.", "postconf -e x=y"});
  return report;
}

}  // namespace

TEST_CASE("doctor: the exit status is the worst finding's", "[ctl][doctor]") {
  CHECK(exit_status_of(report_of({})) == 0);
  CHECK(exit_status_of(report_of({Severity::Note})) == 0);
  CHECK(exit_status_of(report_of({Severity::Warning, Severity::Note})) == 1);
  CHECK(exit_status_of(report_of({Severity::Leak, Severity::Warning, Severity::Note})) == 2);
  CHECK(exit_status_of(report_of({Severity::Warning, Severity::Leak, Severity::Note})) == 2);
}

TEST_CASE("doctor: one paragraph for each finding, and a line that sums up", "[ctl][doctor]") {
  CHECK(in_words(report_of({})) == "Postfix 3.7.11, /etc/postfix: nothing found\n");
  CHECK(in_words(report_of({Severity::Leak})) ==
        "leak: some-id (likely)\n  main.cf: x\n  Mail leaks.\n  fix: postconf -e x=y\n\n"
        "Postfix 3.7.11, /etc/postfix: leaks: 1, warnings: 0, notes: 0\n");
}

TEST_CASE("doctor: JSON for scripts, whatever bytes main.cf holds", "[ctl][doctor]") {
  DoctorReport report = report_of({Severity::Warning});
  report.findings[0].where = "main.cf: \xff";
  const auto json = nlohmann::json::parse(in_json(report));
  CHECK(json["postfix"] == "3.7.11");
  CHECK(json["config_directory"] == "/etc/postfix");
  CHECK(json["worst"] == "warning");
  REQUIRE(json["findings"].size() == 1);
  CHECK(json["findings"][0]["id"] == "some-id");
  CHECK(json["findings"][0]["certainty"] == "likely");
  CHECK(json["findings"][0]["fix"] == "postconf -e x=y");
  CHECK(nlohmann::json::parse(in_json(report_of({})))["worst"] == "none");
  CHECK(nlohmann::json::parse(in_json(report_of({})))["findings"].empty());
}

TEST_CASE("doctor: Sendmail is called by its name", "[ctl][doctor][sendmail]") {
  const DoctorReport report{"8.18.1", "/etc/mail/sendmail.cf", {}, true};
  CHECK(in_words(report) == "Sendmail 8.18.1, /etc/mail/sendmail.cf: nothing found\n");
  const auto json = nlohmann::json::parse(in_json(report));
  CHECK(json["sendmail"] == "8.18.1");
  CHECK(json["configuration"] == "/etc/mail/sendmail.cf");
  CHECK_FALSE(json.contains("postfix"));
}

TEST_CASE("doctor: what others wrote does not steer the terminal", "[ctl][doctor]") {
  DoctorReport report = report_of({Severity::Leak});
  report.findings[0].what =
      "goes to \x1b]0;x\x07, \xc2\x9b"
      "2J";
  report.findings[0].where = "queue: a\nnote: fine";
  report.findings[0].fix = "x\ry";
  const std::string words = in_words(report);
  CHECK(words.find("goes to ?]0;x?, ??2J\n") != words.npos);
  CHECK(words.find("queue: a?note: fine\n") != words.npos);
  CHECK(words.find("x?y") != words.npos);
}
