// Which requirement applies to a next hop: the heart of the project, and pure. policyd, milter and
// ctl feed these functions and act on what they return (design: "Which requirement applies").
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "shared/core/next_hop_key.h"
#include "shared/core/policy.h"
#include "shared/core/rule_store.h"

namespace forcetls {

/// What the policy says of a key. Views borrow from the RuleStore.
struct Finding {
  std::optional<Rule> rule;    ///< the row that decides, as written
  std::optional<Level> cap;    ///< the suspension in force on it
  std::optional<Rule> tested;  ///< the nearest row in mode `test` that would have decided before it
};

/// The row that decides for `key`: its own; for a name otherwise the nearest `.parent` row. A row
/// in mode off or test does not exist for the answer.
Finding find_policy(const RuleStore& store, const NextHopKey& key, TimePoint now);

/// As find_policy, but only a row spelled exactly as the key counts (map lmtp).
Finding find_exact_policy(const RuleStore& store, const NextHopKey& key, TimePoint now);

/// `level` while a suspension to `cap` (May or Encrypt) is in force. none and may stay as they are.
/// dane becomes encrypt where that was asked for: any certificate, but never in clear.
Level capped(Level level, std::optional<Level> cap);
InboundLevel capped(InboundLevel level, std::optional<Level> cap);

/// The requirement, at a forced level raised to what `floor` demands: the higher protocol, the
/// higher grade, the exclusions of both. The result borrows from `floor` too.
Requirement raised_to(Requirement requirement, const Floor& floor);

/// What mail to the row's domain must have while `cap` is in force. A lowered level keeps the
/// protocol, grade and exclusions, and loses the names and the trust anchor. Nothing goes below
/// `floor`; the result borrows from it.
Requirement outbound_requirement(const Rule& rule, std::optional<Level> cap, const Floor& floor);
InboundRequirement inbound_requirement(const Rule& rule, std::optional<Level> cap);

/// What `default_outbound` and `unlisted_relay` demand for a key that no row decides; nothing
/// where they are unset, for local paths, and for a loopback next hop.
std::optional<Requirement> default_requirement(const Settings& settings, const NextHopKey& key);

/// What Postfix will be told for `key` by all our maps together: a row, else the defaults, else
/// nothing (the MTA's own level). Views borrow from the store.
std::optional<Requirement> effective_requirement(const RuleStore& store, const NextHopKey& key,
                                                 TimePoint now);

/// True if no key at all can have a requirement, so that one which cannot be converted has none.
bool demands_nothing(const RuleStore& store);

/// True if a hop held to `hop` keeps what `wanted` demands, so that mail may go by way of it.
/// Exclusions of single ciphers are not compared. secure, fingerprint and dane-only each prove who
/// the next hop is, so each stands for the others.
bool satisfies(const std::optional<Requirement>& hop, const Requirement& wanted);

/// [127.0.0.1], [::1]:10025, localhost:24 ...: mail there does not leave the host.
bool is_loopback(const NextHopKey& key);

}  // namespace forcetls
