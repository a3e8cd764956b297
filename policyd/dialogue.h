// The two protocols as one shape: bytes that a client sent in, bytes for it out.
#pragma once

#include <string>
#include <string_view>

#include "policyd/context.h"
#include "shared/base/result.h"

namespace forcetls {

enum class Service { Map, Policy };

/// "map" or "policy": names in logs and of systemd's sockets.
std::string_view to_text(Service service);

/// How many bytes an unfinished request of this service may have.
std::size_t request_limit(Service service);

/// Answers the first request in `bytes` by appending to `out`. Returns how many bytes it took; 0
/// if the request is not complete yet. Errors: Malformed, TooLong: the connection must be closed,
/// as Postfix asks of its servers, which costs no other connection anything.
Result<std::size_t> answer_one(Service service, Context& context, std::string_view bytes,
                               std::string& out);

}  // namespace forcetls
