// Where does a running Postfix send an address? Asked of its trivial-rewrite(8) over the socket
// that its own daemons use. For PostfixInstance; any thread.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "shared/base/result.h"

namespace forcetls {

/// Where Postfix sends an address (postfix: trivial-rewrite(8)).
struct ResolvedRoute {
  std::string transport;  ///< smtp, relay, local, a master.cf entry's name
  std::string next_hop;   ///< as it will be looked up: bank.example, [relay.example]:587
};

/// Needs root. An empty `sender` is the null sender. Errors: NotFound: Postfix does not run.
/// Malformed: it cannot resolve the address. Busy: no whole answer within `deadline`. System.
Result<ResolvedRoute> ask_trivial_rewrite(const std::string& queue_directory,
                                          std::string_view sender, std::string_view address,
                                          std::chrono::milliseconds deadline);

}  // namespace forcetls
