// Lookups by the socketmap protocol (postfix: socketmap_table(5)), as an MTA would make them.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "shared/base/result.h"

namespace forcetls {

/// What `map` at `address` (unix:PATH, inet:HOST:PORT) answers for each key, status word included:
/// "OK NONE", "TEMP why". All lookups go over one connection. Errors: Unavailable, with the
/// system's reason, if it cannot be reached, does not give a whole answer within `patience`, or
/// says something else.
Result<std::map<std::string, std::string>> look_up(
    const std::string& address, const std::string& map, const std::vector<std::string>& keys,
    std::chrono::milliseconds patience = std::chrono::seconds(5));

}  // namespace forcetls
