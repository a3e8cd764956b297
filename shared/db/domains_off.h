// The rows that the daemons do not see, for the administrator's command.
#pragma once

#include <set>
#include <string>

#include "shared/base/result.h"

namespace forcetls {

/// The keys of domain_policy in mode off of the policy database `path`. Errors: as load_policy.
Result<std::set<std::string>> read_domains_off(const std::string& path);

}  // namespace forcetls
