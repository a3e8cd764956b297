// Thrown under run() before the first request, caught once in main.
#pragma once

#include <sysexits.h>

#include <stdexcept>
#include <string>

namespace forcetls {

class CannotStart : public std::runtime_error {
 public:
  /// `exit_status` as in sysexits(3): EX_USAGE, EX_CONFIG ...; `why` is one line.
  CannotStart(int exit_status, const std::string& why)
      : std::runtime_error(why), exit_status_(exit_status) {}
  int exit_status() const { return exit_status_; }

 private:
  int exit_status_;
};

}  // namespace forcetls
