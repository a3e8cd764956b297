#include "shared/core/policy.h"

#include <algorithm>
#include <array>
#include <utility>

namespace forcetls {
namespace {

template <class Enum, std::size_t N>
using Words = std::array<std::pair<Enum, std::string_view>, N>;

constexpr Words<Level, 8> kLevels{{{Level::None, "none"},
                                   {Level::May, "may"},
                                   {Level::Encrypt, "encrypt"},
                                   {Level::Dane, "dane"},
                                   {Level::DaneOnly, "dane-only"},
                                   {Level::Fingerprint, "fingerprint"},
                                   {Level::Verify, "verify"},
                                   {Level::Secure, "secure"}}};
constexpr Words<Mode, 3> kModes{
    {{Mode::Off, "off"}, {Mode::Test, "test"}, {Mode::Enforce, "enforce"}}};
constexpr Words<Protocol, 4> kProtocols{{{Protocol::Tls10, "TLSv1"},
                                         {Protocol::Tls11, "TLSv1.1"},
                                         {Protocol::Tls12, "TLSv1.2"},
                                         {Protocol::Tls13, "TLSv1.3"}}};
constexpr Words<CipherGrade, 2> kGrades{
    {{CipherGrade::Medium, "medium"}, {CipherGrade::High, "high"}}};
constexpr Words<InboundLevel, 3> kInboundLevels{{{InboundLevel::May, "may"},
                                                 {InboundLevel::Encrypt, "encrypt"},
                                                 {InboundLevel::Verify, "verify"}}};
constexpr Words<OnFailure, 3> kOnFailure{{{OnFailure::Tempfail, "tempfail"},
                                          {OnFailure::Reject, "reject"},
                                          {OnFailure::Reroute, "reroute"}}};
constexpr Words<DefaultOutbound, 3> kDefaultOutbound{{{DefaultOutbound::Unset, "unset"},
                                                      {DefaultOutbound::Encrypt, "encrypt"},
                                                      {DefaultOutbound::Learn, "learn"}}};
constexpr Words<UnlistedRelay, 2> kUnlistedRelay{
    {{UnlistedRelay::Unset, "unset"}, {UnlistedRelay::Encrypt, "encrypt"}}};
constexpr Words<ClearSubmission, 2> kClearSubmission{
    {{ClearSubmission::Tempfail, "tempfail"}, {ClearSubmission::Accept, "accept"}}};
constexpr Words<TlsRequiredHeader, 4> kTlsRequiredHeader{{{TlsRequiredHeader::Auto, "auto"},
                                                          {TlsRequiredHeader::Reject, "reject"},
                                                          {TlsRequiredHeader::Tempfail, "tempfail"},
                                                          {TlsRequiredHeader::Ignore, "ignore"}}};

template <class Enum, std::size_t N>
std::string_view word_of(const Words<Enum, N>& words, Enum value) {
  for (const auto& [candidate, word] : words)
    if (candidate == value) return word;
  return "?";
}

template <class Enum, std::size_t N>
std::optional<Enum> value_of(const Words<Enum, N>& words, std::string_view text) {
  for (const auto& [value, word] : words)
    if (word == text) return value;
  return std::nullopt;
}

template <class Enum, std::size_t N>
bool assign(Enum& target, const Words<Enum, N>& words, std::string_view text) {
  const auto value = value_of(words, text);
  if (value) target = *value;
  return value.has_value();
}

std::vector<std::string> blank_separated(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n,";
  std::vector<std::string> items;
  for (auto begin = text.find_first_not_of(kBlanks); begin != text.npos;
       begin = text.find_first_not_of(kBlanks, begin)) {
    const auto end = std::min(text.find_first_of(kBlanks, begin), text.size());
    items.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return items;
}

/// As `assign`, where the empty text stands for `lowest`.
template <class Enum, std::size_t N>
bool assign_floor(Enum& target, const Words<Enum, N>& words, std::string_view text, Enum lowest) {
  if (!text.empty()) return assign(target, words, text);
  target = lowest;
  return true;
}

/// Anything but such names would make Postfix misread the whole policy.
bool assign_ciphers(std::string& target, std::string_view text) {
  const bool names = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           std::string_view("_:+-").find(c) != std::string_view::npos;
  });
  if (names) target = text;
  return names;
}

bool assign_networks(std::vector<Network>& target, std::string_view text) {
  std::vector<Network> networks;
  for (const auto& item : blank_separated(text)) {
    const auto network = Network::parse(item);
    if (!network) return false;
    networks.push_back(*network);
  }
  target = std::move(networks);
  return true;
}

}  // namespace

std::string_view to_text(Level level) { return word_of(kLevels, level); }
std::string_view to_text(Mode mode) { return word_of(kModes, mode); }
std::string_view to_text(Protocol protocol) { return word_of(kProtocols, protocol); }
std::string_view to_text(CipherGrade grade) { return word_of(kGrades, grade); }
std::string_view to_text(InboundLevel level) { return word_of(kInboundLevels, level); }
std::string_view to_text(OnFailure action) { return word_of(kOnFailure, action); }

std::optional<Level> level_from(std::string_view text) { return value_of(kLevels, text); }
std::optional<Mode> mode_from(std::string_view text) { return value_of(kModes, text); }
std::optional<Protocol> protocol_from(std::string_view text) { return value_of(kProtocols, text); }
std::optional<CipherGrade> grade_from(std::string_view text) { return value_of(kGrades, text); }
std::optional<InboundLevel> inbound_level_from(std::string_view text) {
  return value_of(kInboundLevels, text);
}
std::optional<OnFailure> on_failure_from(std::string_view text) {
  return value_of(kOnFailure, text);
}

bool Settings::set(std::string_view name, std::string_view value) {
  if (name == "default_outbound") return assign(default_outbound, kDefaultOutbound, value);
  if (name == "unlisted_relay") return assign(unlisted_relay, kUnlistedRelay, value);
  if (name == "clear_submission") return assign(clear_submission, kClearSubmission, value);
  if (name == "tls_required_header") return assign(tls_required_header, kTlsRequiredHeader, value);
  if (name == "floor_exclude") return assign_ciphers(floor.exclude, value);
  if (name == "floor_min_protocol")
    return assign_floor(floor.min_protocol, kProtocols, value, Protocol::Tls10);
  if (name == "floor_ciphers")
    return assign_floor(floor.ciphers, kGrades, value, CipherGrade::Medium);
  if (name == "trusted_clients") return assign_networks(trusted_clients, value);
  if (name == "own_domains") own_domains = blank_separated(value);
  if (name == "enforcing_transports") enforcing_transports = blank_separated(value);
  return true;
}

bool Settings::is_trusted(std::string_view client_address) const {
  for (const auto& network : trusted_clients)
    if (network.contains(client_address)) return true;
  return false;
}

bool Settings::is_own(std::string_view domain) const {
  for (const std::string& own : own_domains) {
    if (own == domain) return true;
    if (own.starts_with('.') && domain.ends_with(own)) return true;
  }
  return false;
}

bool Settings::is_enforcing(std::string_view transport) const {
  for (const std::string& name : enforcing_transports)
    if (name == transport) return true;
  return false;
}

}  // namespace forcetls
