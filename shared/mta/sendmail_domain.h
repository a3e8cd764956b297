// A recipient's domain as Sendmail asks for it: what it may deliver to, and the whole answer. Pure.
#pragma once

#include <string>
#include <vector>

#include "shared/core/next_hop_key.h"
#include "shared/core/rule_store.h"

namespace forcetls {

/// The keys that decide for mail to the domain. Sendmail looks up the address of [mx.bank.example]
/// by the bare name, so that the name's own rows count beside that of the brackets; an IPv6 address
/// has one form whatever its spelling. Empty: no host name and no plain address. Sendmail takes
/// \DDD for a byte, and the resolver [0xa.1.2.3] and [173735973] for addresses, so that mail to
/// such a spelling may reach a host that a row names otherwise.
std::vector<NextHopKey> keys_of_recipient_domain(const NextHopKey& key);

/// Of two answers the one that demands more. TEMP where neither does.
std::string stricter_answer(std::string one, std::string other);

/// What map `sendmail` answers for the domain: by the rows of its keys, else by the settings.
std::string sendmail_answer(const RuleStore& policy, const NextHopKey& key, TimePoint now);

}  // namespace forcetls
