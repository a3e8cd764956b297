// The header TLS-Required: no (RFC 8689 s5), read as Postfix 3.10 reads it.
#pragma once

#include <string_view>

namespace forcetls {

/// True for the spellings that Postfix obeys: any case, blanks before and after the colon, a folded
/// value. A comment is not one of them. Blanks behind the value are not either, but count: on the
/// safe side.
bool is_tls_required_no(std::string_view name, std::string_view value) noexcept;

}  // namespace forcetls
