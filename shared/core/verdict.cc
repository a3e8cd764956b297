#include "shared/core/verdict.h"

#include <algorithm>
#include <array>
#include <utility>

#include "shared/core/ascii.h"

namespace forcetls {
namespace {

/// Transports of Postfix and Sendmail that hand nothing to another host.
constexpr std::array<std::string_view, 8> kLocalTransports{
    "local", "virtual", "error", "retry", "discard", "prog", "*file*", "*include*"};

Action refusal(const Rule& rule) {
  return rule.on_failure == OnFailure::Reject ? Action::Reject : Action::Defer;
}

Verdict refuse(const Rule& rule, Reason reason, std::string detail = {}) {
  return {refusal(rule), reason, std::string(rule.key), std::move(detail)};
}

bool is_local_transport(std::string_view transport) {
  return std::find(kLocalTransports.begin(), kLocalTransports.end(), transport) !=
         kLocalTransports.end();
}

/// ".example" covers sub-domains, anything else only itself.
bool name_matches(std::string_view pattern, std::string_view name) {
  if (pattern.starts_with('.'))
    return name.size() > pattern.size() &&
           equal_ignoring_case(pattern, name.substr(name.size() - pattern.size()));
  return equal_ignoring_case(pattern, name);
}

/// SHA-1 or SHA-256 as Postfix writes them: hex pairs with colons.
bool is_digest(std::string_view item) {
  if (item.size() != 32 * 3 - 1 && item.size() != 20 * 3 - 1) return false;
  for (std::size_t i = 2; i < item.size(); i += 3)
    if (item[i] != ':') return false;
  return true;
}

/// Calls `visit` for each piece of `list` until one answers true.
template <class Visit>
bool any_of_list(std::string_view list, char separator, Visit visit) {
  while (!list.empty()) {
    const auto end = std::min(list.find(separator), list.size());
    if (end > 0 && visit(list.substr(0, end))) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

enum class CertificateMatch { Yes, No, Unknown };

CertificateMatch match_certificate(std::string_view list, const SessionFacts& session) {
  bool unknown = false;
  const bool found = any_of_list(list, '|', [&](std::string_view item) {
    if (is_digest(item)) {
      unknown = unknown || !session.digests_known;
      return session.digests_known && (equal_ignoring_case(item, session.certificate_digest) ||
                                       equal_ignoring_case(item, session.public_key_digest));
    }
    return !session.certificate_name.empty() && any_of_list(item, ':', [&](std::string_view name) {
      return name_matches(name, session.certificate_name);
    });
  });
  if (found) return CertificateMatch::Yes;
  return unknown ? CertificateMatch::Unknown : CertificateMatch::No;
}

/// "TLSv1" ... "TLSv1.3"; anything older or unknown is below every demand.
bool protocol_at_least(std::string_view version, Protocol wanted) {
  const auto protocol = protocol_from(version);
  return protocol && *protocol >= wanted;
}

/// What the session lacks of `wanted`; NoRule if nothing.
std::pair<Reason, std::string> shortfall(const InboundRequirement& wanted,
                                         const SessionFacts& session) {
  if (wanted.level == InboundLevel::May) return {Reason::NoRule, {}};
  if (session.tls_version.empty()) return {Reason::InboundClear, {}};
  if (!protocol_at_least(session.tls_version, wanted.min_protocol))
    return {Reason::InboundProtocol, std::string(session.tls_version)};
  if (session.cipher_bits < wanted.min_bits)
    return {Reason::InboundBits, std::to_string(session.cipher_bits) + " bits"};
  if (wanted.level == InboundLevel::Verify &&
      match_certificate(wanted.match, session) == CertificateMatch::No)
    return {Reason::InboundCertificate, std::string(session.certificate_name)};
  return {Reason::NoRule, {}};
}

/// The row that forces TLS to `recipient` now, with what it demands.
struct Forced {
  Rule rule;
  Requirement requirement;
};

std::optional<Forced> forced_rule(const RuleStore& store, const NextHopKey& recipient,
                                  TimePoint now) {
  const Finding finding = find_policy(store, recipient, now);
  if (!finding.rule) return std::nullopt;
  const Requirement requirement =
      outbound_requirement(*finding.rule, finding.cap, store.settings().floor);
  if (!is_forced(requirement.level)) return std::nullopt;
  return Forced{*finding.rule, requirement};
}

/// The first of `next_hops` that is not `good`; empty if there is none. Postfix takes several,
/// separated by commas and blanks, and asks for each of them (postfix: relayhost, since 3.5).
template <class Good>
std::string_view first_bad(std::string_view next_hops, Good good) {
  constexpr std::string_view kSeparators = ", \t\r\n";
  for (auto begin = next_hops.find_first_not_of(kSeparators); begin != next_hops.npos;
       begin = next_hops.find_first_not_of(kSeparators, begin)) {
    const auto end = std::min(next_hops.find_first_of(kSeparators, begin), next_hops.size());
    const std::string_view next_hop = next_hops.substr(begin, end - begin);
    begin = end;
    if (!good(next_hop)) return next_hop;
  }
  return {};
}

/// The first of `next_hops` by which mail must not go; empty if there is none.
std::string_view weak_next_hop(const RuleStore& store, const NextHopKey& recipient,
                               std::string_view next_hops, const Forced& forced, TimePoint now) {
  return first_bad(next_hops, [&](std::string_view next_hop) {
    const auto key = NextHopKey::parse(next_hop);
    if (!key) return false;
    return key->text == recipient.text || is_loopback(*key) ||
           satisfies(effective_requirement(store, *key, now), forced.requirement);
  });
}

/// lmtp delivers on this host, by a unix socket or on loopback, or to another one, which is asked
/// for by itself: as host:24, spelt without "inet:" (postfix: lmtp(8), lmtp_tls_policy_maps). The
/// site's own mailboxes may well be there.
Verdict judge_lmtp(const RuleStore& store, const NextHopKey& recipient, std::string_view next_hops,
                   const Forced& forced, TimePoint now) {
  constexpr std::string_view kInet = "inet:";
  if (next_hops.starts_with("unix:") || store.settings().is_own(recipient.text)) return {};
  if (next_hops.starts_with(kInet)) next_hops.remove_prefix(kInet.size());
  const std::string_view weak = first_bad(next_hops, [&](std::string_view next_hop) {
    const auto key = NextHopKey::parse(next_hop);
    if (!key) return false;
    if (key->kind == KeyKind::LocalPath || is_loopback(*key)) return true;
    const Finding finding = find_exact_policy(store, *key, now);
    return finding.rule &&
           satisfies(outbound_requirement(*finding.rule, finding.cap, store.settings().floor),
                     forced.requirement);
  });
  if (weak.empty()) return {};
  const auto key = NextHopKey::parse(weak);
  if (!key) return name_unknown(weak);
  return {Action::Defer, Reason::RouteNextHop, std::string(forced.rule.key), key->text};
}

}  // namespace

Verdict judge_sender(const RuleStore& store, const NextHopKey& sender, const SessionFacts& session,
                     TimePoint now) {
  const Finding finding = find_policy(store, sender, now);
  if (!finding.rule) return {};
  auto [reason, detail] = shortfall(inbound_requirement(*finding.rule, finding.cap), session);
  if (reason == Reason::NoRule) return {};
  if (store.settings().is_trusted(session.client_address))
    return {Action::NoOpinion, Reason::Trusted, std::string(finding.rule->key), {}};
  return refuse(*finding.rule, reason, std::move(detail));
}

Verdict judge_submission(const RuleStore& store, const NextHopKey& recipient,
                         const SessionFacts& session, TimePoint now) {
  const Settings& settings = store.settings();
  if (settings.clear_submission == ClearSubmission::Accept || !session.tls_version.empty())
    return {};
  if (settings.is_own(recipient.text)) return {};
  const auto forced = forced_rule(store, recipient, now);
  if (!forced) return {};
  if (settings.is_trusted(session.client_address))
    return {Action::NoOpinion, Reason::Trusted, std::string(forced->rule.key), {}};
  return refuse(forced->rule, Reason::ClearSubmission);
}

Verdict judge_route(const RuleStore& store, const NextHopKey& recipient, const Route& route,
                    TimePoint now) {
  if (route.transport.empty() || is_local_transport(route.transport)) return {};
  const auto forced = forced_rule(store, recipient, now);
  if (!forced) return {};
  if (route.transport == "lmtp") return judge_lmtp(store, recipient, route.next_hop, *forced, now);
  // A route is the host's own fault, never the sender's: it waits, whatever on_failure says.
  if (!store.settings().is_enforcing(route.transport))
    return {Action::Defer, Reason::RouteTransport, std::string(forced->rule.key),
            std::string(route.transport)};
  const std::string_view weak = weak_next_hop(store, recipient, route.next_hop, *forced, now);
  if (weak.empty()) return {};
  const auto next_hop = NextHopKey::parse(weak);
  if (!next_hop) return name_unknown(weak);
  return {Action::Defer, Reason::RouteNextHop, std::string(forced->rule.key), next_hop->text};
}

Verdict judge_tls_required_no(const RuleStore& store, const NextHopKey& recipient, bool mta_obeys,
                              TimePoint now) {
  const auto forced = forced_rule(store, recipient, now);
  if (!forced) return {};
  const auto refused = [&](Action action) {
    return Verdict{action, Reason::TlsRequiredNo, std::string(forced->rule.key), {}};
  };
  switch (store.settings().tls_required_header) {
    case TlsRequiredHeader::Ignore:
      return {};
    case TlsRequiredHeader::Auto:
      return mta_obeys ? refused(Action::Reject) : Verdict{};
    case TlsRequiredHeader::Reject:
      return refused(Action::Reject);
    case TlsRequiredHeader::Tempfail:
      return refused(Action::Defer);
  }
  return refused(Action::Defer);
}

bool is_forced_recipient(const RuleStore& store, const NextHopKey& recipient, TimePoint now) {
  return forced_rule(store, recipient, now).has_value();
}

Verdict policy_unavailable() { return {Action::Defer, Reason::PolicyUnavailable, {}, {}}; }

Verdict name_unknown(std::string_view domain) {
  return {Action::Defer, Reason::NameUnknown, std::string(domain), {}};
}

}  // namespace forcetls
