// What must hold for any input. Not assert(): a fuzz target checks in every build type.
#pragma once

#include <cstdlib>
#include <string_view>

namespace forcetls {

inline void require(bool holds) {
  if (!holds) std::abort();
}

inline bool is_printable_ascii(std::string_view text) {
  for (const char c : text)
    if (c < 0x20 || c > 0x7e) return false;
  return true;
}

}  // namespace forcetls
