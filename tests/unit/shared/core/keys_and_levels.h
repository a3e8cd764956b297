// What the tests of decisions write down most often.
#pragma once

#include <string_view>

#include "shared/core/next_hop_key.h"
#include "shared/core/policy.h"

namespace forcetls {

constexpr Level kLevels[] = {Level::None,     Level::May,         Level::Encrypt, Level::Dane,
                             Level::DaneOnly, Level::Fingerprint, Level::Verify,  Level::Secure};

inline NextHopKey key(std::string_view text) { return NextHopKey::parse(text).value(); }

}  // namespace forcetls
