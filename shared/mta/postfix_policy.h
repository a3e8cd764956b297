// How a requirement is told to Postfix: the value of a smtp_tls_policy_maps entry
// (postfix: TLS_README, "smtp_tls_policy_maps").
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "shared/core/policy.h"

namespace forcetls {

/// "secure match=nexthop:dot-nexthop protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high".
/// Only what every supported Postfix (3.7 on) takes: an unknown or misplaced attribute defers the
/// whole domain. none, may and dane are the bare word: attributes there cause clear mail, since a
/// handshake that fails for them is followed by a delivery in clear.
std::string to_postfix_policy(const Requirement& requirement);

/// Appends the same to `text`, for callers that build a reply around it.
void append_postfix_policy(std::string& text, const Requirement& requirement);

/// What such an entry demands, read back; nothing if it begins with no level. Of what we do not
/// write ourselves nothing is counted: other ways to spell protocols, further attributes. The
/// result borrows from `text`.
std::optional<Requirement> requirement_in_postfix_policy(std::string_view text);

}  // namespace forcetls
