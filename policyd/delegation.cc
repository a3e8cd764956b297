#include "policyd/delegation.h"

#include <algorithm>
#include <array>
#include <utility>

#include "shared/core/ascii.h"

namespace forcetls {
namespace {

using Field = std::string_view PolicyRequest::*;

constexpr std::array<std::pair<std::string_view, Field>, 10> kFields{{
    {"protocol_state", &PolicyRequest::protocol_state},
    {"client_address", &PolicyRequest::client_address},
    {"sender", &PolicyRequest::sender},
    {"recipient", &PolicyRequest::recipient},
    {"queue_id", &PolicyRequest::queue_id},
    {"encryption_protocol", &PolicyRequest::encryption_protocol},
    {"encryption_keysize", &PolicyRequest::encryption_keysize},
    {"ccert_subject", &PolicyRequest::ccert_subject},
    {"ccert_fingerprint", &PolicyRequest::ccert_fingerprint},
    {"ccert_pubkey_fingerprint", &PolicyRequest::ccert_pubkey_fingerprint},
}};

void take(PolicyRequest& request, std::string_view name, std::string_view value) {
  for (const auto& [known, field] : kFields)
    if (known == name) request.*field = value;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// xtext: "+20" is a blank (RFC 3461 s4). What is no xtext is left as it is.
std::string from_xtext(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '+' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low >= 0) {
      plain += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace

Result<PolicyRequest> parse_policy_request(std::string_view bytes) {
  PolicyRequest request;
  bool is_ours = false;
  std::size_t at = 0;
  for (;;) {
    const auto end = bytes.find('\n', at);
    if (at > kMaxPolicyRequestBytes || std::min(end, bytes.size()) > kMaxPolicyRequestBytes)
      return fail(ErrorCode::TooLong, "policy request");
    if (end == bytes.npos) return fail(ErrorCode::Incomplete, {});
    const std::string_view line = bytes.substr(at, end - at);
    at = end + 1;
    if (line.empty()) break;
    const auto equals = line.find('=');
    if (equals == line.npos) return fail(ErrorCode::Malformed, "line without '='");
    if (line == "request=smtpd_access_policy") is_ours = true;
    take(request, line.substr(0, equals), line.substr(equals + 1));
  }
  if (!is_ours) return fail(ErrorCode::Malformed, "request is not smtpd_access_policy");
  request.wire_bytes = at;
  return request;
}

Verdict judge_request(const RuleStore* store, const PolicyRequest& request, TimePoint now) {
  if (request.protocol_state != "RCPT") return {};
  if (store == nullptr) return policy_unavailable();
  if (store->enforces_nothing()) return {};
  const std::string subject = from_xtext(request.ccert_subject);
  const SessionFacts session{.client_address = request.client_address,
                             .tls_version = request.encryption_protocol,
                             .cipher_bits = number_in(request.encryption_keysize),
                             .certificate_name = subject,
                             .certificate_digest = request.ccert_fingerprint,
                             .public_key_digest = request.ccert_pubkey_fingerprint,
                             .digests_known = true};
  const auto sender = domain_of_address(request.sender);
  if (!sender) return name_unknown(request.sender.substr(request.sender.rfind('@') + 1));
  Verdict verdict = judge_sender(*store, *sender, session, now);
  if (verdict.action != Action::NoOpinion) return verdict;
  const auto recipient = domain_of_address(request.recipient);
  if (!recipient) return name_unknown(request.recipient.substr(request.recipient.rfind('@') + 1));
  return judge_submission(*store, *recipient, session, now);
}

void append_policy_reply(std::string& out, const Verdict& verdict) {
  out += "action=";
  switch (verdict.action) {
    case Action::NoOpinion:
      out += "DUNNO";
      break;
    case Action::Defer:
    case Action::Reject:
      out += smtp_reply(verdict);
      break;
  }
  out += "\n\n";
}

}  // namespace forcetls
