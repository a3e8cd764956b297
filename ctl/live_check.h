// Whether forcetls answers Postfix: asked from inside the chroot, as the user that Postfix's own
// processes run as.
#pragma once

#include <string>

#include "shared/base/result.h"

namespace forcetls {

/// Looks a name up in the map, asks the policy service about a recipient, and offers options
/// to the milter, by the sockets in `queue_directory`/forcetls, as `user`. Must be root, with one
/// thread. Errors: Unavailable with one line that says what to start or to configure; System.
Result<void> check_live(const std::string& queue_directory, const std::string& user);

}  // namespace forcetls
