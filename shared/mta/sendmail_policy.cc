#include "shared/mta/sendmail_policy.h"

#include <algorithm>

namespace forcetls {
namespace {

bool is_host_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/// One host name. nexthop, dot-nexthop and hostname are Postfix's words and no names.
bool is_single_name(std::string_view match) {
  return match.find('.') != match.npos && !match.starts_with('.') && !match.ends_with('.') &&
         std::all_of(match.begin(), match.end(), is_host_name_character);
}

/// Why Sendmail cannot keep a level, or nothing.
std::string_view refusal_of_level(const Requirement& requirement) {
  switch (requirement.level) {
    case Level::None:
    case Level::May:
    case Level::Encrypt:
      return {};
    case Level::Dane:
      return "Sendmail cannot keep level dane: use may or encrypt";
    case Level::DaneOnly:
      return "Sendmail cannot keep level dane-only: use secure with one name in match";
    case Level::Fingerprint:
      return "Sendmail cannot keep level fingerprint: use secure with one name in match";
    case Level::Verify:
      if (requirement.match.empty() || is_single_name(requirement.match)) return {};
      return "Sendmail cannot keep level verify with this match: use NULL or one host name";
    case Level::Secure:
      if (is_single_name(requirement.match)) return {};
      return "Sendmail cannot keep level secure with this match: use one host name, the subject CN "
             "of the partner's certificate";
  }
  return "Sendmail cannot keep this level";
}

/// Why Sendmail cannot keep the rest of a forced requirement, or nothing.
std::string_view refusal_of_attributes(const Requirement& requirement) {
  if (requirement.min_protocol > Protocol::Tls12)
    return "Sendmail cannot keep min_protocol TLSv1.3: use TLSv1.2";
  if (!requirement.tafile.empty())
    return "Sendmail cannot keep tafile: use NULL, and add the trust anchor to confCACERT";
  if (!requirement.exclude.empty())
    return "Sendmail cannot keep exclude: use NULL, and confCIPHER_LIST";
  if (!requirement.site_exclude.empty())
    return "Sendmail cannot keep the setting floor_exclude: use an empty one, and confCIPHER_LIST";
  return {};
}

std::string_view refusal(const Requirement& requirement) {
  if (const auto why = refusal_of_level(requirement); !why.empty()) return why;
  return is_forced(requirement.level) ? refusal_of_attributes(requirement) : std::string_view{};
}

}  // namespace

void append_sendmail_answer(std::string& text, const std::optional<Requirement>& requirement) {
  if (const auto why = requirement ? refusal(*requirement) : std::string_view{}; !why.empty()) {
    text += "TEMP ";
    text += why;
    return;
  }
  if (!requirement || !is_forced(requirement->level)) {
    text += "OK NONE";
    return;
  }
  if (requirement->level == Level::Encrypt) {
    text += "OK TEMP+ENCR:128";
    return;
  }
  text += "OK TEMP+VERIFY:128+CN";
  if (requirement->match.empty()) return;
  text += ':';
  text += requirement->match;
}

bool is_recipient_domain(const NextHopKey& key) {
  if (key.kind == KeyKind::Name) return true;
  return key.kind == KeyKind::NextHop && key.text.ends_with(']');
}

}  // namespace forcetls
