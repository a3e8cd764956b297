// The sentences. Each says what was wrong, of which domain, and what to do about it.
#include "shared/core/verdict.h"

namespace forcetls {
namespace {

// Together with the longest sentence they fit into one reply line (RFC 5321 s4.5.3.1.5).
constexpr std::size_t kLongestSubject = 254;
constexpr std::size_t kLongestDetail = 100;

/// Printable ASCII only: the text goes into an SMTP reply and into a log line.
std::string printable(std::string_view text, std::size_t longest) {
  std::string clean(text.substr(0, longest));
  for (char& c : clean)
    if (c < 0x20 || c > 0x7e) c = '?';
  return clean;
}

}  // namespace

std::string_view to_text(Action action) {
  switch (action) {
    case Action::NoOpinion:
      return "continue";
    case Action::Defer:
      return "defer";
    case Action::Reject:
      return "reject";
  }
  return "defer";
}

ReasonText describe(const Verdict& verdict) {
  const std::string subject = printable(verdict.subject, kLongestSubject);
  const std::string detail = printable(verdict.detail, kLongestDetail);
  switch (verdict.reason) {
    case Reason::NoRule:
      return {"none", "7.0", "no rule objects"};
    case Reason::Trusted:
      return {"trusted-client", "7.0", "the client is one of trusted_clients"};
    case Reason::InboundClear:
      return {"inbound-clear", "7.4",
              "mail from " + subject + " must arrive over TLS; use STARTTLS"};
    case Reason::InboundProtocol:
      return {"inbound-protocol", "7.6",
              "mail from " + subject + " must arrive over a newer TLS version than " + detail};
    case Reason::InboundBits:
      return {"inbound-bits", "7.6",
              "mail from " + subject + " must arrive with a stronger cipher than " + detail};
    case Reason::InboundCertificate:
      return {"inbound-certificate", "7.5",
              "mail from " + subject + " must arrive with an agreed client certificate" +
                  (detail.empty() ? "; none was verified" : ", not that of " + detail)};
    case Reason::ClearSubmission:
      return {"clear-submission", "7.4",
              "mail for " + subject + " must be handed over with TLS; use STARTTLS"};
    case Reason::RouteTransport:
      return {"route-transport", "7.1",
              "TLS is required for " + subject + ", but transport " + detail +
                  " does not ask forcetls (see setting enforcing_transports)"};
    case Reason::RouteNextHop:
      return {"route-next-hop", "7.1",
              "TLS is required for " + subject + ", but it goes by way of " + detail +
                  ", whose own requirement is weaker (see table domain_policy)"};
    case Reason::TlsRequiredNo:
      return {"tls-required-no", "7.1",
              "TLS is required for " + subject + "; remove the header TLS-Required: no"};
    case Reason::NameUnknown:
      return {"name-unknown", "7.0",
              "the domain " + subject + " cannot be looked up in the TLS policy"};
    case Reason::PolicyUnavailable:
      return {"policy-unavailable", "7.0", "the TLS policy cannot be read; try again later"};
  }
  return {"unknown", "7.0", "the TLS policy cannot be applied; try again later"};
}

std::string smtp_reply(const Verdict& verdict) {
  if (verdict.action == Action::NoOpinion) return {};
  const ReasonText reason = describe(verdict);
  const bool reject = verdict.action == Action::Reject;
  return (reject ? "550 5." : "451 4.") + std::string(reason.status_tail) + " " + reason.text;
}

}  // namespace forcetls
