#include "shared/core/next_hop_key.h"

#include <idn2.h>

#include <algorithm>
#include <memory>

namespace forcetls {
namespace {

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

void lower_ascii(std::string& text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
}

tl::unexpected<Error> unconvertible(std::string_view why) {
  return fail(ErrorCode::Unconvertible,
              "domain name cannot be converted to A-labels: " + std::string(why));
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

/// UTS 46 to A-labels. libidn2 does the labels' splitting, so an ideographic full stop is a dot.
Result<std::string> to_a_labels(std::string_view name) {
  if (name.find('\0') != name.npos) return unconvertible("NUL byte");
  if (name.size() > 4 * kMaxNameBytes) return unconvertible("too long");
  const std::string terminated(name);
  std::uint8_t* raw = nullptr;
  // Not IDN2_USE_STD3_ASCII_RULES: it drops '_', '@' and blanks without a word.
  const int status = ::idn2_lookup_u8(reinterpret_cast<const std::uint8_t*>(terminated.c_str()),
                                      &raw, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  const std::unique_ptr<std::uint8_t, decltype(&::idn2_free)> owned(raw, &::idn2_free);
  if (status != IDN2_OK) return unconvertible(::idn2_strerror(status));
  std::string name_in_a_labels(reinterpret_cast<const char*>(raw));
  lower_ascii(name_in_a_labels);
  // A fullwidth colon or slash has become a plain one: no name, and no other kind of key either.
  if (!std::all_of(name_in_a_labels.begin(), name_in_a_labels.end(), is_host_character))
    return unconvertible("it has characters that no host name has");
  return name_in_a_labels;
}

/// Lower-case A-labels without trailing dot; a leading dot (a parent key) is kept.
Result<std::string> canonical_name(std::string_view name) {
  std::string canonical(name);
  if (!is_ascii(name)) {
    const bool parent = name.starts_with('.');
    auto converted = to_a_labels(parent ? name.substr(1) : name);
    if (!converted) return fail(std::move(converted).error());
    canonical = (parent ? "." : "") + *converted;
  }
  lower_ascii(canonical);
  if (canonical.ends_with('.')) canonical.pop_back();
  if (canonical.empty()) return unconvertible("empty name");
  return canonical;
}

/// `around` the host: "[" and "]:port", or "" and ":port".
Result<NextHopKey> next_hop(std::string_view before, std::string_view host,
                            std::string_view after) {
  if (!is_ascii(after)) return unconvertible("something strange follows the host");
  auto name = canonical_name(host);
  if (!name) return fail(std::move(name).error());
  std::string text(before);
  text += *name;
  text += after;
  lower_ascii(text);
  return NextHopKey{KeyKind::NextHop, std::move(text)};
}

}  // namespace

Result<NextHopKey> NextHopKey::parse(std::string_view text) {
  if (text.find('/') != text.npos) return NextHopKey{KeyKind::LocalPath, std::string(text)};
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == text.npos) return unconvertible("'[' without ']'");
    return next_hop("[", text.substr(1, close - 1), text.substr(close));
  }
  if (const auto colon = text.rfind(':'); colon != text.npos)
    return next_hop("", text.substr(0, colon), text.substr(colon));
  auto name = canonical_name(text);
  if (!name) return fail(std::move(name).error());
  return NextHopKey{KeyKind::Name, *std::move(name)};
}

Result<NextHopKey> domain_of_address(std::string_view address) {
  if (address.starts_with('<')) address.remove_prefix(1);
  if (address.ends_with('>')) address.remove_suffix(1);
  std::string_view domain;
  if (const auto at = address.rfind('@'); at != address.npos) {
    domain = address.substr(at + 1);
  } else if (const auto bang = address.find('!'); bang != address.npos) {
    domain = address.substr(0, bang);
  } else if (const auto percent = address.rfind('%'); percent != address.npos) {
    domain = address.substr(percent + 1);
  }
  if (domain.empty()) return NextHopKey{};
  return NextHopKey::parse(domain);
}

}  // namespace forcetls
