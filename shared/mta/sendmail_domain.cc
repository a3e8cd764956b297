#include "shared/mta/sendmail_domain.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "shared/core/requirement.h"
#include "shared/mta/sendmail_policy.h"

namespace forcetls {
namespace {

constexpr std::string_view kNothing = "OK NONE";
constexpr std::string_view kTag = "ipv6:";  // RFC 5321 s4.1.3, as keys have it

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/// What inet_aton() takes for a number, in decimal, octal or hexadecimal.
bool is_numeric_label(std::string_view label) {
  const bool is_hex = label.starts_with("0x");
  const std::string_view digits = is_hex ? "0123456789abcdef" : "0123456789";
  if (is_hex) label.remove_prefix(2);
  return label.find_first_not_of(digits) == label.npos && (is_hex || !label.empty());
}

/// Without empty labels: the resolver may leave some out.
bool is_host_name(std::string_view text) {
  if (text.empty() || text.starts_with('.') || text.ends_with('.') || text.find("..") != text.npos)
    return false;
  const auto dot = text.rfind('.');
  return std::all_of(text.begin(), text.end(), is_host_character) &&
         !is_numeric_label(text.substr(dot == text.npos ? 0 : dot + 1));
}

NextHopKey bracketed(std::string_view host) {
  return {KeyKind::NextHop, "[" + std::string(host) + "]"};
}

/// The address as inet_ntop() writes it. Nothing for other text, and for IPv4 in IPv6's clothes.
std::optional<std::string> ipv6_address(const std::string& text) {
  in6_addr address{};
  if (::inet_pton(AF_INET6, text.c_str(), &address) != 1 || IN6_IS_ADDR_V4MAPPED(&address))
    return std::nullopt;
  std::array<char, INET6_ADDRSTRLEN> written{};
  if (::inet_ntop(AF_INET6, &address, written.data(), written.size()) == nullptr)
    return std::nullopt;
  return std::string(written.data());
}

std::vector<NextHopKey> keys_of_ipv6(const NextHopKey& key, std::string_view host) {
  if (host.starts_with(kTag)) host.remove_prefix(kTag.size());
  const auto address = ipv6_address(std::string(host));
  if (!address) return {};
  std::vector<NextHopKey> keys{key};
  for (NextHopKey& one : std::vector{bracketed(std::string(kTag) + *address), bracketed(*address)})
    if (one.text != key.text) keys.push_back(std::move(one));
  return keys;
}

std::string answer_of(const std::optional<Requirement>& requirement) {
  std::string text;
  append_sendmail_answer(text, requirement);
  return text;
}

}  // namespace

std::vector<NextHopKey> keys_of_recipient_domain(const NextHopKey& key) {
  if (key.kind == KeyKind::Name)
    return is_host_name(key.text) ? std::vector{key} : std::vector<NextHopKey>();
  if (key.kind != KeyKind::NextHop || key.text.size() < 2 || !key.text.ends_with(']')) return {};
  const std::string host = key.text.substr(1, key.text.size() - 2);
  if (host.find(':') != host.npos) return keys_of_ipv6(key, host);
  in_addr address{};
  if (::inet_pton(AF_INET, host.c_str(), &address) == 1) return {key};
  if (!is_host_name(host)) return {};
  return {key, {KeyKind::Name, host}};
}

std::string stricter_answer(std::string one, std::string other) {
  const auto rank = [](std::string_view answer) {
    if (answer == kNothing) return 0;
    if (answer.starts_with("OK TEMP+ENCR")) return 1;
    return answer.starts_with("OK ") ? 2 : 3;
  };
  if (rank(one) != rank(other)) return rank(one) > rank(other) ? std::move(one) : std::move(other);
  if (one == other || rank(one) == 3) return one;
  return "TEMP the rows of the name and of the name in brackets demand different certificates";
}

std::string sendmail_answer(const RuleStore& policy, const NextHopKey& key, TimePoint now) {
  const std::vector<NextHopKey> keys = keys_of_recipient_domain(key);
  if (keys.empty() && demands_nothing(policy)) return std::string(kNothing);
  if (keys.empty())
    return "TEMP the domain is spelled as no host name and no address is: Sendmail may deliver to "
           "another one";
  std::string of_rows, of_settings(kNothing);
  for (const NextHopKey& one : keys) {
    const Finding found = find_policy(policy, one, now);
    if (!found.rule) {
      of_settings = stricter_answer(std::move(of_settings),
                                    answer_of(default_requirement(policy.settings(), one)));
      continue;
    }
    std::string answer =
        answer_of(outbound_requirement(*found.rule, found.cap, policy.settings().floor));
    of_rows = of_rows.empty() ? answer : stricter_answer(std::move(of_rows), std::move(answer));
  }
  return of_rows.empty() ? of_settings : of_rows;
}

}  // namespace forcetls
