// Postfix's internal attribute protocol, as its daemons speak it on sockets in private/: names and
// values, each ended by a NUL byte, closed by an empty name (postfix: attr_print0.c). Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/base/result.h"

namespace forcetls {

using Attributes = std::vector<std::pair<std::string, std::string>>;

/// The bytes of one message.
std::string to_attribute_bytes(const Attributes& attributes);

/// Takes one message off the front of `bytes`. Errors: Incomplete: the end has not come
/// yet; then `bytes` is as it was.
Result<Attributes> take_attributes(std::string_view& bytes);

/// The last value of that name; empty if there is none.
std::string_view attribute(const Attributes& attributes, std::string_view name);

}  // namespace forcetls
