#include "shared/mta/postfix_policy.h"

#include <algorithm>

namespace forcetls {
namespace {

std::string_view protocols_from(Protocol lowest) {
  switch (lowest) {
    case Protocol::Tls10:
      return "!SSLv2:!SSLv3";
    case Protocol::Tls11:
      return "!SSLv2:!SSLv3:!TLSv1";
    case Protocol::Tls12:
      return "!SSLv2:!SSLv3:!TLSv1:!TLSv1.1";
    case Protocol::Tls13:
      return "!SSLv2:!SSLv3:!TLSv1:!TLSv1.1:!TLSv1.2";
  }
  return "!SSLv2:!SSLv3:!TLSv1:!TLSv1.1";
}

/// The lowest protocol of a list as protocols_from() writes it; of another list the very lowest.
Protocol lowest_of(std::string_view protocols) {
  for (const Protocol lowest : {Protocol::Tls13, Protocol::Tls12, Protocol::Tls11})
    if (protocols == protocols_from(lowest)) return lowest;
  return Protocol::Tls10;
}

void read_attribute(std::string_view word, Requirement& requirement) {
  const auto equals = word.find('=');
  if (equals == word.npos) return;
  const std::string_view name = word.substr(0, equals), value = word.substr(equals + 1);
  if (name == "match") requirement.match = value;
  if (name == "protocols") requirement.min_protocol = lowest_of(value);
  if (name == "ciphers") requirement.ciphers = grade_from(value).value_or(CipherGrade::Medium);
  if (name == "exclude") requirement.exclude = value;
  if (name == "tafile") requirement.tafile = value;
}

void append_attribute(std::string& text, std::string_view name, std::string_view value) {
  text += ' ';
  text += name;
  text += '=';
  text += value;
}

/// Without names, `secure` follows main.cf's smtp_tls_secure_cert_match: say what we mean instead.
std::string_view match_of(const Requirement& requirement) {
  if (requirement.match.empty() && requirement.level == Level::Secure) return "nexthop:dot-nexthop";
  return requirement.match;
}

/// True if `name` is one of the names in `list` (a:b).
bool lists(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::string_view item = list.substr(0, list.find(':'));
    if (item == name) return true;
    list.remove_prefix(std::min(item.size() + 1, list.size()));
  }
  return false;
}

/// Appends the names of `list` that are not in `text` from `begin` on.
void append_missing(std::string& text, std::size_t begin, std::string_view list) {
  while (!list.empty()) {
    const std::string_view name = list.substr(0, list.find(':'));
    list.remove_prefix(std::min(name.size() + 1, list.size()));
    if (name.empty() || lists(std::string_view(text).substr(begin), name)) continue;
    if (text.size() > begin) text += ':';
    text += name;
  }
}

void append_exclusions(std::string& text, const Requirement& requirement) {
  // Anonymous ciphers would pass for encryption; the levels that look at a certificate exclude
  // them by themselves.
  const std::string_view always = requirement.level == Level::Encrypt ? "aNULL" : "";
  if (always.empty() && requirement.exclude.empty() && requirement.site_exclude.empty()) return;
  text += " exclude=";
  const std::size_t begin = text.size();
  for (const std::string_view list : {always, requirement.exclude, requirement.site_exclude})
    append_missing(text, begin, list);
}

}  // namespace

void append_postfix_policy(std::string& text, const Requirement& requirement) {
  text += to_text(requirement.level);
  if (!is_forced(requirement.level)) return;
  if (const auto match = match_of(requirement); !match.empty())
    append_attribute(text, "match", match);
  append_attribute(text, "protocols", protocols_from(requirement.min_protocol));
  append_attribute(text, "ciphers", to_text(requirement.ciphers));
  append_exclusions(text, requirement);
  if (!requirement.tafile.empty()) append_attribute(text, "tafile", requirement.tafile);
}

std::string to_postfix_policy(const Requirement& requirement) {
  std::string text;
  append_postfix_policy(text, requirement);
  return text;
}

std::optional<Requirement> requirement_in_postfix_policy(std::string_view text) {
  constexpr std::string_view kSeparators = " \t,";
  const auto level = level_from(text.substr(0, text.find_first_of(kSeparators)));
  if (!level) return std::nullopt;
  Requirement requirement{
      .level = *level, .min_protocol = Protocol::Tls10, .ciphers = CipherGrade::Medium};
  for (auto begin = text.find_first_of(kSeparators); begin < text.size();) {
    begin = std::min(text.find_first_not_of(kSeparators, begin), text.size());
    const auto end = std::min(text.find_first_of(kSeparators, begin), text.size());
    read_attribute(text.substr(begin, end - begin), requirement);
    begin = end;
  }
  return requirement;
}

}  // namespace forcetls
