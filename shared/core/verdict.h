// What becomes of a message while it is being received: pure decisions for policyd and milter.
// They add refusals, they never waive another check: no opinion means "ask the next one".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shared/core/next_hop_key.h"
#include "shared/core/requirement.h"
#include "shared/core/rule_store.h"

namespace forcetls {

enum class Action : std::uint8_t { NoOpinion, Defer, Reject };

/// For logs: "continue", "defer", "reject".
std::string_view to_text(Action action);

enum class Reason : std::uint8_t {
  NoRule,              ///< no row, or its demands are met
  Trusted,             ///< a row would object, but the client is one of trusted_clients
  InboundClear,        ///< the sender's domain must arrive over TLS, and did not
  InboundProtocol,     ///< the session's TLS version is below the row's min_protocol
  InboundBits,         ///< the session's cipher is weaker than the row's min_bits
  InboundCertificate,  ///< the client certificate is not one that inbound_match lists
  ClearSubmission,     ///< mail for a forced domain came in clear
  RouteTransport,      ///< the recipient's transport does not ask policyd
  RouteNextHop,        ///< the recipient goes by way of a next hop with a weaker requirement
  TlsRequiredNo,       ///< the header TLS-Required: no would switch the requirement off
  NameUnknown,         ///< the domain cannot be turned into A-labels
  PolicyUnavailable,   ///< no policy could be read since the start
};

/// `subject` and `detail` own their text: a verdict outlives the snapshot that it came from.
struct Verdict {
  Action action = Action::NoOpinion;
  Reason reason = Reason::NoRule;
  std::string subject{};  ///< key of the row that decided, or the domain asked for
  std::string detail{};   ///< what was seen: "TLSv1.1", "56 bits", "[relay.example]", "smtp-clear"
};

/// The session by which a message comes in. Views borrow from the request.
struct SessionFacts {
  std::string_view client_address{};  ///< as the MTA writes it; empty: unknown, so not trusted
  std::string_view tls_version{};     ///< "TLSv1.3"; empty: in clear
  int cipher_bits = 0;
  std::string_view certificate_name{};    ///< CN of a verified client certificate
  std::string_view certificate_digest{};  ///< AA:BB:..., of the certificate
  std::string_view public_key_digest{};
  bool digests_known = true;  ///< false where the protocol never gives them (milter)
};

/// The inbound rule of the envelope sender's domain (an empty `sender` is the null sender).
Verdict judge_sender(const RuleStore& store, const NextHopKey& sender, const SessionFacts& session,
                     TimePoint now);

/// Mail for a forced domain must not come in clear from a client that is not trusted.
Verdict judge_submission(const RuleStore& store, const NextHopKey& recipient,
                         const SessionFacts& session, TimePoint now);

/// Where the MTA will hand the recipient over to. Empty: the MTA did not tell.
struct Route {
  std::string_view transport{};  ///< {rcpt_mailer}: "smtp", "relay", "local"
  std::string_view next_hop{};   ///< {rcpt_host}, as the MTA spells it
};

/// A forced recipient must leave by a transport that asks policyd, and by a next hop whose own
/// requirement is at least as strong.
Verdict judge_route(const RuleStore& store, const NextHopKey& recipient, const Route& route,
                    TimePoint now);

/// The header TLS-Required: no on a message with the forced recipient domain `recipient` (RFC 8689
/// s5). `mta_obeys`: this MTA would drop its TLS policy for the message (Postfix 3.10 and later).
Verdict judge_tls_required_no(const RuleStore& store, const NextHopKey& recipient, bool mta_obeys,
                              TimePoint now);

/// True if the recipient's domain is forced now.
bool is_forced_recipient(const RuleStore& store, const NextHopKey& recipient, TimePoint now);

/// Verdicts for what could not be decided: they fail closed.
Verdict policy_unavailable();
Verdict name_unknown(std::string_view domain);

/// RFC 3463 code without its class, "7.4", and the one sentence that log, SMTP reply and manual
/// share.
struct ReasonText {
  std::string_view word;         ///< for logs: "inbound-clear"
  std::string_view status_tail;  ///< "7.4"
  std::string text;
};
ReasonText describe(const Verdict& verdict);

/// "451 4.7.4 text" or "550 5.7.4 text"; empty for NoOpinion.
std::string smtp_reply(const Verdict& verdict);

}  // namespace forcetls
