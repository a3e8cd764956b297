// Runs a command of the system and collects what it prints. No shell: arguments arrive as they are.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "shared/base/result.h"

namespace forcetls {

/// The most that a command may print to either stream before it is stopped.
constexpr std::size_t kMostCommandOutput = 16U << 20U;

struct CommandOptions {
  std::string input{};      ///< what it reads from standard input; then it finds the end
  std::string directory{};  ///< its working directory; empty: ours
  std::chrono::milliseconds deadline{std::chrono::seconds(60)};
  /// Not empty: once this is in what it printed it is killed, as if it had ended with status 0.
  std::string enough{};
};

struct CommandOutput {
  int status = 0;  ///< exit status, or 128 and the number of the signal that ended it
  std::string out, err;
};

/// Runs `argv`; the program is looked for in /usr/sbin, /usr/bin, /sbin and /bin if it has no path,
/// whatever PATH says, and its messages are in English (LC_ALL=C). A command that does not end with
/// status 0 is a success of this function. At the deadline it is killed with all that it started.
/// Errors: NotFound: no such program. TooLong: more than kMostCommandOutput. Busy: the deadline
/// passed. System.
Result<CommandOutput> run_command(const std::vector<std::string>& argv,
                                  const CommandOptions& options = {});

}  // namespace forcetls
