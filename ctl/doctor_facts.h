// Finds out on this host what the doctor's checks ask for.
#pragma once

#include <set>
#include <string>

#include "shared/base/config.h"
#include "shared/mta/doctor.h"
#include "shared/mta/postfix_instance.h"

namespace forcetls {

/// The addresses at which forcetls.conf lets our daemons listen, as Postfix would name them.
std::set<std::string> our_addresses(const Config& config);

/// The addresses of this host's interfaces, but for those of one link alone (fe80::...).
std::set<std::string> host_addresses();

/// Owner, mode and journal mode of the policy database, read without a lock.
doctor::PolicyFile look_at_policy_file(const std::string& path);

/// Answers what it can; what fails is left out, for the checks to say so.
void gather(const PostfixInstance& postfix, const PostfixConfig& config, const RuleStore& policy,
            const doctor::Questions& questions, doctor::HostFacts& facts);

}  // namespace forcetls
