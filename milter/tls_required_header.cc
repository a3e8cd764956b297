#include "milter/tls_required_header.h"

#include "shared/core/ascii.h"

namespace forcetls {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\v\f";
  const auto begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

}  // namespace

bool is_tls_required_no(std::string_view name, std::string_view value) noexcept {
  return equal_ignoring_case(trimmed(name), "tls-required") &&
         equal_ignoring_case(trimmed(value), "no");
}

}  // namespace forcetls
