// Result<T>: a value or an Error. tl::expected until std::expected can be had on every supported
// release (C++23).
#pragma once

#include <tl/expected.hpp>

#include "shared/base/error.h"

namespace forcetls {

template <class T>
using Result = tl::expected<T, Error>;

/// For `return fail(ErrorCode::Malformed, "...")` in a function that returns a Result.
[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string context) {
  return tl::unexpected<Error>(Error{code, std::move(context)});
}

[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace forcetls
