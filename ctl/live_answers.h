// What the running policyd answers to many keys, asked as Postfix asks it. For the doctor.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "shared/mta/doctor.h"

namespace forcetls {

/// So many lookups may fail before the search for the keys that get no answer is given up.
constexpr int kMostFailingLookups = 64;

/// The entries that there are for some keys, as PostfixInstance::query_all() finds them.
using BatchLookup =
    std::function<Result<std::map<std::string, std::string>>(const std::vector<std::string>& keys)>;

/// Asks for all `keys` at once. postmap gives up at the first key that gets no answer; then halves
/// are asked. What has not been told apart by then, and what took too long, counts as failed.
doctor::LiveAnswers ask_policyd(const BatchLookup& lookup, const std::vector<std::string>& keys);

}  // namespace forcetls
