// The command line of forcetls-policyd.
#pragma once

#include <optional>

#include "shared/base/config.h"

namespace forcetls {

struct Options {
  Config config;            ///< file and flags together; flags win
  bool foreground = false;  ///< log to stderr
};

/// Nothing after --help or --version, which print and are done. Throws CannotStart with one line
/// for a wrong flag, file or value.
std::optional<Options> parse_options(int argc, const char* const* argv);

}  // namespace forcetls
