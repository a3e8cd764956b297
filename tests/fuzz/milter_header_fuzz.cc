// Any header, cut at its first colon: read as Postfix reads it, or not a TLS-Required: no at all.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "milter/reply.h"
#include "milter/tls_required_header.h"
#include "tests/fuzz/require.h"

namespace {

/// The letters of `text`, in small ones.
std::string letters(std::string_view text) {
  std::string found;
  for (const char c : text) {
    if (c >= 'a' && c <= 'z') found += c;
    if (c >= 'A' && c <= 'Z') found += static_cast<char>(c - 'A' + 'a');
  }
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace forcetls;
  const std::string_view header(reinterpret_cast<const char*>(bytes), size);
  const auto colon = std::min(header.find(':'), size);
  const std::string_view name = header.substr(0, colon);
  const std::string_view value = header.substr(std::min(colon + 1, size));
  if (is_tls_required_no(name, value)) {
    require(letters(name) == "tlsrequired");
    require(letters(value) == "no");
  }

  const std::string subject(name);
  const Reply reply = to_reply({Action::Reject, Reason::RouteNextHop, subject, std::string(value)});
  require(reply.status == SMFIS_REJECT && reply.code == "550" && reply.enhanced == "5.7.1");
  require(is_printable_ascii(reply.text));
  std::size_t percents = 0;
  for (const char c : reply.text) percents += c == '%' ? 1U : 0U;
  require(percents % 2 == 0);
  return 0;
}
