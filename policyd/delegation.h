// The policy delegation protocol as bytes (postfix: SMTPD_POLICY_README): name=value lines closed
// by an empty line; the reply is one action line and an empty line. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "shared/base/result.h"
#include "shared/core/rule_store.h"
#include "shared/core/verdict.h"

namespace forcetls {

/// Some thirty attributes, of which the longest (addresses, certificate names) are bounded by
/// smtpd's line_length_limit of 2048 bytes each.
constexpr std::size_t kMaxPolicyRequestBytes = 65'536;

/// The attributes that the decisions need. Views borrow from the input; absent ones are empty.
struct PolicyRequest {
  std::string_view protocol_state;  ///< CONNECT, EHLO, MAIL, RCPT, DATA, END-OF-MESSAGE, ...
  std::string_view client_address;
  std::string_view sender;               ///< as the client typed it, without <>
  std::string_view recipient;            ///< likewise
  std::string_view queue_id;             ///< empty up to the first accepted recipient
  std::string_view encryption_protocol;  ///< empty: in clear
  std::string_view encryption_keysize;
  std::string_view ccert_subject;  ///< xtext (RFC 3461 s4)
  std::string_view ccert_fingerprint;
  std::string_view ccert_pubkey_fingerprint;
  std::size_t wire_bytes = 0;  ///< how much of the input it took
};

/// Reads the first request in `bytes`. Unknown attributes are left out silently: newer Postfix
/// versions add some. Errors: Incomplete if the closing empty line may yet come; TooLong above
/// kMaxPolicyRequestBytes; Malformed on a line without '=', and if request= is absent or not
/// smtpd_access_policy.
Result<PolicyRequest> parse_policy_request(std::string_view bytes);

/// The verdict on a request. Only the RCPT stage decides; `store` null: no policy could be read.
Verdict judge_request(const RuleStore* store, const PolicyRequest& request, TimePoint now);

/// Appends "action=DUNNO\n\n" or "action=451 4.7.4 why\n\n"; never OK, never an empty action.
void append_policy_reply(std::string& out, const Verdict& verdict);

}  // namespace forcetls
