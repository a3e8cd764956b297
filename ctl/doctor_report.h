// What `forcetls doctor` found, in words and as JSON. Pure.
#pragma once

#include <string>
#include <vector>

#include "shared/base/result.h"
#include "shared/mta/doctor.h"

namespace forcetls {

/// What a monitoring system goes by.
constexpr int kExitHealthy = 0, kExitWarning = 1, kExitLeak = 2, kExitNotExamined = 3;

struct DoctorReport {
  std::string version;                    ///< of the MTA: "3.7.11"
  std::string configuration;              ///< Postfix's directory, or sendmail.cf
  std::vector<doctor::Finding> findings;  ///< the worst first
  bool is_sendmail = false;
};

/// One paragraph for each finding, and one line that sums up.
std::string in_words(const DoctorReport& report);

/// One JSON object.
std::string in_json(const DoctorReport& report);

/// By the worst finding.
int exit_status_of(const DoctorReport& report);

/// Prints it, or why there is none, and gives the exit status.
int print_report(const Result<DoctorReport>& report, bool as_json);

}  // namespace forcetls
