#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "shared/core/policy.h"

namespace forcetls {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/// 4 or 16 bytes in network order; nothing for what is no address.
std::vector<std::uint8_t> address_bytes(std::string_view text) {
  constexpr std::string_view kTag = "IPv6:";  // RFC 5321 s4.1.3, as Sendmail and Postfix write it
  if (text.size() > kTag.size() &&
      std::equal(kTag.begin(), kTag.end(), text.begin(),
                 [](char a, char b) { return (a | 0x20) == (b | 0x20); }))
    text.remove_prefix(kTag.size());
  char terminated[INET6_ADDRSTRLEN] = {};
  if (text.empty() || text.size() >= sizeof terminated || text.find('\0') != text.npos) return {};
  std::memcpy(terminated, text.data(), text.size());
  std::vector<std::uint8_t> bytes(4);
  if (::inet_pton(AF_INET, terminated, bytes.data()) == 1) return bytes;
  bytes.resize(16);
  if (::inet_pton(AF_INET6, terminated, bytes.data()) != 1) return {};
  return bytes;
}

/// True for an IPv4 address in IPv6's clothes: ::ffff:192.0.2.1.
bool is_mapped(const std::vector<std::uint8_t>& bytes) {
  return bytes.size() > kMappedPrefix.size() &&
         std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes.begin());
}

void unmap(std::vector<std::uint8_t>& bytes) {
  bytes.erase(bytes.begin(), bytes.begin() + kMappedPrefix.size());
}

}  // namespace

std::optional<Network> Network::parse(std::string_view text) {
  const auto slash = text.find('/');
  Network network;
  network.bytes_ = address_bytes(text.substr(0, slash));
  if (network.bytes_.empty()) return std::nullopt;
  const auto longest = static_cast<unsigned>(network.bytes_.size() * 8);
  network.prefix_bits_ = longest;
  if (slash != text.npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, problem] =
        std::from_chars(digits.data(), digits.data() + digits.size(), network.prefix_bits_);
    if (problem != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    if (network.prefix_bits_ > longest) return std::nullopt;
  }
  // ::ffff:192.0.2.0/120 is 192.0.2.0/24. A shorter prefix spans more than IPv4: it stays IPv6.
  constexpr auto kMappedBits = static_cast<unsigned>(kMappedPrefix.size() * 8);
  if (is_mapped(network.bytes_) && network.prefix_bits_ >= kMappedBits) {
    unmap(network.bytes_);
    network.prefix_bits_ -= kMappedBits;
  }
  return network;
}

bool Network::contains(std::string_view address) const {
  auto bytes = address_bytes(address);
  if (is_mapped(bytes)) unmap(bytes);
  if (bytes.size() != bytes_.size()) return false;
  const std::size_t whole = prefix_bits_ / 8;
  if (!std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(whole),
                  bytes_.begin()))
    return false;
  const unsigned rest = prefix_bits_ % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xff << (8 - rest));
  return (bytes[whole] & mask) == (bytes_[whole] & mask);
}

}  // namespace forcetls
