// What every subcommand is given, and how it ends.
#pragma once

#include <sysexits.h>

#include <string>

#include "shared/base/config.h"
#include "shared/base/error.h"

namespace forcetls {

/// Exit statuses that scripts may rely on (sysexits(3)).
constexpr int kExitNotForced = 1;
constexpr int kExitChangesToApply = 1;

/// The exit status that tells a script what kind of failure this is.
constexpr int exit_status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::Malformed:
    case ErrorCode::TooLong:
    case ErrorCode::Incomplete:
      return EX_DATAERR;
    case ErrorCode::Unconvertible:
    case ErrorCode::Unavailable:
    case ErrorCode::Busy:
      return EX_TEMPFAIL;
    case ErrorCode::NotFound:
      return EX_NOINPUT;
    case ErrorCode::NotOurs:
    case ErrorCode::WrongSchema:
    case ErrorCode::Corrupt:
      return EX_CONFIG;
    case ErrorCode::Denied:
      return EX_NOPERM;
    case ErrorCode::System:
      return EX_OSERR;
  }
  return EX_SOFTWARE;
}

struct InitOptions {
  bool existing = false;  ///< migrate only: where nothing is, make nothing
};

struct CheckOptions {
  std::string what;
  bool json = false;
  bool must_be_forced = false;
};

/// Where Sendmail's files are; empty: where Debian has them.
struct SendmailOptions {
  std::string mta{};                 ///< "postfix", "sendmail"; empty: what is configured here
  std::string mc{};                  ///< sendmail.mc; submit.mc lies beside it
  std::string cf{};                  ///< sendmail.cf; empty: beside sendmail.mc
  std::string program = "sendmail";  ///< asked for its version
};

struct DoctorOptions {
  std::string config_dir;  ///< empty: the instance that postconf names
  bool json = false;
  SendmailOptions sendmail;
};

struct SetupOptions {
  std::string config_dir;  ///< empty: the one that postconf names
  bool apply = false;
  bool undo = false;
  bool bounce_bodies = false;
  SendmailOptions sendmail;
};

/// forcetls init: creates the policy database, or migrates an older one.
int run_init(const Config& config, const InitOptions& options);

/// forcetls check: which row decides for a domain, address or next hop, and what Postfix is told.
int run_check(const Config& config, const CheckOptions& options);

/// forcetls doctor: every way around the enforcement in a Postfix configuration.
int run_doctor(const Config& config, const DoctorOptions& options);
int run_sendmail_doctor(const Config& config, const DoctorOptions& options);

/// forcetls setup: shows, makes or takes back the changes that Postfix needs.
int run_setup(const Config& config, const SetupOptions& options);
/// For Sendmail it only says what to write.
int run_sendmail_setup(const Config& config, const SetupOptions& options);

}  // namespace forcetls
