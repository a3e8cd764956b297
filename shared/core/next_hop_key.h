// What a lookup asks for: a domain or a next hop as the MTA spells it, brought to the one form in
// which rows are kept. Total: any bytes give a key or an Error, never "not found" by accident.
#pragma once

#include <string>
#include <string_view>

#include "shared/base/result.h"

namespace forcetls {

/// The longest name, with its leading dot (RFC 1035 s2.3.4 without the root's dot).
constexpr std::size_t kMaxNameBytes = 254;

/// The longest key that a row can have: such a name in brackets with a port, and to spare (the
/// same number stands in schema/policy: domain_form).
constexpr std::size_t kMaxKeyBytes = 275;

enum class KeyKind {
  Name,       ///< bank.example: its own row, then .parent rows from the nearest upwards
  NextHop,    ///< [host], [host]:port, host:port: only the row spelled so
  LocalPath,  ///< private/dovecot-lmtp: never leaves the host, no row can name it
};

/// A domain or next hop, lower-cased, A-labels, without trailing dot.
struct NextHopKey {
  KeyKind kind = KeyKind::Name;
  std::string text;

  /// An ASCII key is only lower-cased and loses one trailing dot (also inside brackets and before
  /// a port). One with other bytes goes through UTS 46, non-transitional, as Postfix's ICU does it.
  /// Errors: Unconvertible for an empty name, bytes that are not UTF-8, and whatever UTS 46 or
  /// libidn2 refuse: the caller must fail closed, since an MTA may well deliver there.
  static Result<NextHopKey> parse(std::string_view text);
};

/// The domain of a mail address, as a key: what follows the last '@' of "user@domain", with or
/// without <>; without '@' that of "domain!user" or "user%domain", as Postfix rewrites them
/// (postfix: swap_bangpath, allow_percent_hack). The null sender and a plain local part have none:
/// an empty text, no error.
/// Errors: as NextHopKey::parse.
Result<NextHopKey> domain_of_address(std::string_view address);

}  // namespace forcetls
