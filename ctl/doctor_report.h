// What `forcetls doctor` found, in words and as JSON. Pure.
#pragma once

#include <string>
#include <vector>

#include "shared/mta/doctor.h"

namespace forcetls {

/// What a monitoring system goes by.
constexpr int kExitHealthy = 0, kExitWarning = 1, kExitLeak = 2, kExitNotExamined = 3;

struct DoctorReport {
  std::string postfix_version;  ///< "3.7.11"
  std::string config_directory;
  std::vector<doctor::Finding> findings;  ///< the worst first
};

/// One paragraph for each finding, and one line that sums up.
std::string in_words(const DoctorReport& report);

/// One JSON object.
std::string in_json(const DoctorReport& report);

/// By the worst finding.
int exit_status_of(const DoctorReport& report);

}  // namespace forcetls
