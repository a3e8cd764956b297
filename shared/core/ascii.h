// Small things on ASCII text that more than one parser needs. Independent of the locale.
#pragma once

#include <algorithm>
#include <charconv>
#include <string_view>

namespace forcetls {

/// White space, without the rarer kinds.
constexpr std::string_view kBlanks = " \t\r\n";

constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return ascii_lower(x) == ascii_lower(y); });
}

/// The number that `digits` begins with; 0 if there is none.
inline int number_in(std::string_view digits) {
  int number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

}  // namespace forcetls
