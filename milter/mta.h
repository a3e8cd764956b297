// What a filter must know of the MTA that it serves: Postfix and Sendmail mean different things by
// the same macros, and only some of them obey TLS-Required: no.
#pragma once

#include <string>
#include <string_view>

#include "milter/macros.h"
#include "shared/core/verdict.h"

namespace forcetls {

enum class MtaKind { Postfix, Sendmail, Unknown };

/// By macro v: "8.17.1.9" is Sendmail's; "Postfix 3.10.13", or whatever a site made of mail_name,
/// is Postfix's; Unknown if it was not sent.
MtaKind mta_kind(std::string_view version_macro);

/// True if the MTA drops its TLS policy for a message with the header TLS-Required: no:
/// Postfix 3.10 and later. A version that cannot be read is taken for one that does: this fails
/// closed.
bool obeys_tls_required_no(std::string_view version_macro);

/// The common name of the client's certificate, if the MTA found it trusted; else empty. Postfix
/// sends the name alone, and none for an untrusted certificate; Sendmail sends the whole subject of
/// any certificate, and in {verify} what it thinks of it. A subject that could be read as having
/// several common names has none.
std::string_view verified_certificate_name(const Macros& macros);

/// The next hop whose own row counts for mail to a recipient, to be asked at RCPT. Postfix asks
/// policyd for the next hop; Sendmail for the recipient's domain, whichever way mail takes (empty).
std::string_view asked_next_hop(const Macros& macros);

/// True for mail that did not come by SMTP: sendmail(1), which Postfix shows to non_smtpd_milters
/// as if it came from 127.0.0.1 or ::1 (postfix: cleanup_milter.c). To be asked at MAIL;
/// `client_address` is the one that the MTA gave with the connection, `sender` MAIL's argument.
///
/// No SMTP client can pass for it. Brackets round the sender alone would prove nothing, since
/// smtpd(8) hands the argument over as it was typed. But the address is that of the peer, whatever
/// the client says; smtpd(8) always sends {client_resolve} to a filter that asks for it, and
/// cleanup(8) cannot know it; and smtpd(8) has no queue id yet at MAIL, where cleanup(8) has one.
bool is_local_submission(const Macros& macros, std::string_view client_address,
                         std::string_view sender);

}  // namespace forcetls
