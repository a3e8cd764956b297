// The C boundary: libmilter's callbacks, each of which hands one step over to a Session.
#pragma once

#include "milter/session.h"

namespace forcetls {

/// Tells libmilter of the callbacks. `surroundings` must outlive the last session. Throws
/// CannotStart if libmilter refuses.
void register_callbacks(Surroundings& surroundings);

}  // namespace forcetls
