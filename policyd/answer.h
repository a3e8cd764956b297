// What the socketmaps answer: from a policy, a map's name and a key to the reply's text. Pure.
#pragma once

#include <string>
#include <string_view>

#include "policyd/socketmap.h"
#include "shared/core/rule_store.h"

namespace forcetls {

/// A row that does not count yet. Borrows from the store.
struct TestedRow {
  std::string_view key{};
  Level level = Level::May;
};

/// Puts "OK policy", "NOTFOUND " or "TEMP why" into `reply`. `store` null: no policy could be
/// read since the start. Errors are always TEMP, never PERM, and an OK always has a value: what
/// else there is fails open in one MTA or the other.
///
/// tls      a row decides, with suspensions; else NOTFOUND.
/// default  what the settings say of a key that no row decides; else NOTFOUND.
/// lmtp     only a row spelled exactly as the key; else NOTFOUND.
/// sendmail as tls and default together, for Sendmail's ruleset: "OK NONE" for NOTFOUND, and TEMP
///          for a requirement that Sendmail cannot keep.
///
/// Returns the row in mode test that would have decided, for the log; its key is empty if none, or
/// if Postfix has asked for the same name before (map default and .parent keys).
TestedRow answer_map(const RuleStore* store, const MapRequest& request, TimePoint now,
                     std::string& reply);

}  // namespace forcetls
