// How a requirement is told to Sendmail: the answer of map `sendmail` to the ruleset in
// packaging/sendmail/forcetls.m4, which takes exactly these forms and defers on any other.
#pragma once

#include <optional>
#include <string>

#include "shared/core/next_hop_key.h"
#include "shared/core/policy.h"

namespace forcetls {

/// Appends the whole answer for a recipient domain:
///
/// OK NONE                        nothing is forced (Sendmail takes "not found" for a fault).
/// OK TEMP+ENCR:128               TLS 1.2 or newer, 128 bits, any certificate.
/// OK TEMP+VERIFY:128+CN          and a valid one, whose subject CN is the MX host's name.
/// OK TEMP+VERIFY:128+CN:NAME     and a valid one, whose subject CN is NAME.
/// TEMP why                       the requirement has no exact form there: mail waits.
///
/// Sendmail compares the subject CN and looks at no other name of the certificate: mail to partners
/// whose MX host is only among those waits.
void append_sendmail_answer(std::string& text, const std::optional<Requirement>& requirement);

/// True for what can stand behind the @ of an address: a name or an address literal. A row for
/// another next hop says nothing of it.
bool is_recipient_domain(const NextHopKey& key);

}  // namespace forcetls
