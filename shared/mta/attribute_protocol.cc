#include "shared/mta/attribute_protocol.h"

#include <optional>

namespace forcetls {
namespace {

/// Takes one text with its NUL off the front of `bytes`.
std::optional<std::string_view> take_text(std::string_view& bytes) {
  const auto end = bytes.find('\0');
  if (end == bytes.npos) return std::nullopt;
  const std::string_view text = bytes.substr(0, end);
  bytes.remove_prefix(end + 1);
  return text;
}

}  // namespace

std::string to_attribute_bytes(const Attributes& attributes) {
  std::string bytes;
  for (const auto& [name, value] : attributes) {
    bytes += name;
    bytes += '\0';
    bytes += value;
    bytes += '\0';
  }
  bytes += '\0';
  return bytes;
}

Result<Attributes> take_attributes(std::string_view& bytes) {
  std::string_view rest = bytes;
  Attributes attributes;
  while (const auto name = take_text(rest)) {
    if (name->empty()) {
      bytes = rest;
      return attributes;
    }
    const auto value = take_text(rest);
    if (!value) break;
    attributes.emplace_back(*name, *value);
  }
  return fail(ErrorCode::Incomplete, "the message has no end");
}

std::string_view attribute(const Attributes& attributes, std::string_view name) {
  for (auto entry = attributes.rbegin(); entry != attributes.rend(); ++entry)
    if (entry->first == name) return entry->second;
  return {};
}

}  // namespace forcetls
