// What main.cf demands of forced connections, recorded in policy.db: our answers replace its values
// (postfix: smtp_tls_policy.c, set_cipher_grade), so they have to keep to them.
#include <algorithm>
#include <array>

#include "shared/core/ascii.h"
#include "shared/mta/setup_draft.h"

namespace forcetls {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kProtocols{
    {{"TLSv1", "301"}, {"TLSv1.1", "302"}, {"TLSv1.2", "303"}, {"TLSv1.3", "304"}}};

/// Which of kProtocols that is, by name or by number (0303, 0x303 ...: postfix, postconf(5));
/// -1: an older one, 4: no protocol that we know.
int number_of(std::string_view name) {
  if (name.starts_with("0x") || name.starts_with("0X")) name.remove_prefix(2);
  while (name.starts_with('0')) name.remove_prefix(1);
  for (std::size_t i = 0; i < kProtocols.size(); ++i)
    if (equal_ignoring_case(name, kProtocols[i].first) || name == kProtocols[i].second)
      return static_cast<int>(i);
  return equal_ignoring_case(name, "SSLv2") || equal_ignoring_case(name, "SSLv3") ? -1 : 4;
}

/// Splits at blanks, commas and colons.
std::vector<std::string> items_of(std::string_view text) {
  constexpr std::string_view kSeparators = " \t\r\n,:";
  std::vector<std::string> items;
  for (auto begin = text.find_first_not_of(kSeparators); begin != text.npos;
       begin = text.find_first_not_of(kSeparators, begin)) {
    const auto end = std::min(text.find_first_of(kSeparators, begin), text.size());
    items.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return items;
}

/// The lowest protocol that a value of smtp_tls_mandatory_protocols lets through: ">=TLSv1.2",
/// "!SSLv2, !SSLv3, !TLSv1" or "TLSv1.2 TLSv1.3" (postfix: postconf(5)).
Protocol lowest_protocol(std::string_view value) {
  std::array<bool, 4> only{}, excluded{};
  bool has_only = false;
  int from = 0;
  for (std::string_view item : items_of(value)) {
    if (item.starts_with(">=")) {
      from = std::max(from, number_of(item.substr(2)));
    } else if (item.starts_with("!")) {
      if (const int n = number_of(item.substr(1)); n >= 0 && n < 4)
        excluded[static_cast<std::size_t>(n)] = true;
    } else if (!item.starts_with("<=")) {
      has_only = true;
      if (const int n = number_of(item); n >= 0 && n < 4) only[static_cast<std::size_t>(n)] = true;
    }
  }
  for (std::size_t i = 0; i < kProtocols.size(); ++i)
    if (static_cast<int>(i) >= from && !excluded[i] && (!has_only || only[i]))
      return static_cast<Protocol>(i);
  return Protocol::Tls13;
}

/// What schema/policy takes in floor_exclude.
bool can_be_recorded(std::string_view cipher) {
  return cipher.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
             "_+-") == cipher.npos &&
         cipher.front() != '+' && cipher.front() != '-';
}

/// Adds the ciphers of `value` that `list` (a:b) has not yet. False: one cannot be recorded.
bool add_ciphers(std::string& list, std::string_view value) {
  bool all = true;
  for (const std::string& cipher : items_of(value)) {
    const auto have = items_of(list);
    if (std::find(have.begin(), have.end(), cipher) != have.end()) continue;
    if (can_be_recorded(cipher))
      list += (list.empty() ? "" : ":") + cipher;
    else
      all = false;
  }
  return all;
}

/// Joins what one of Postfix's clients demands into `floor`. `prefix`: "smtp" or "lmtp".
void join(SetupDraft& draft, Place place, const std::string& prefix, Floor& floor) {
  for (const char* name : {"_tls_exclude_ciphers", "_tls_mandatory_exclude_ciphers"})
    if (!add_ciphers(floor.exclude, draft.value(place, prefix + name)))
      draft.refuse(name_of(place) + ": " + prefix + name +
                   " has something that is no cipher name, which our answers could not keep to: "
                   "write the names alone");
  floor.min_protocol = std::max(
      floor.min_protocol, lowest_protocol(draft.value(place, prefix + "_tls_mandatory_protocols")));
  if (equal_ignoring_case(draft.value(place, prefix + "_tls_mandatory_ciphers"), "high"))
    floor.ciphers = CipherGrade::High;
}

Floor floor_now(const SetupFacts& facts) {
  Settings settings;
  for (const auto& [name, value] : facts.settings)
    if (name.starts_with("floor_")) static_cast<void>(settings.set(name, value));
  return settings.floor;
}

}  // namespace

void plan_floors(SetupDraft& draft) {
  const Floor now = floor_now(draft.facts());
  Floor floor = now;
  for (const char* program : {"smtp", "lmtp"}) {
    join(draft, nullptr, program, floor);
    for (const Place place : draft.config().services_of(program))
      join(draft, place, program, floor);
  }
  // Only ever raised: another instance may share the table, or a person has asked for more.
  if (floor.exclude != now.exclude)
    draft.change_setting("floor_exclude", floor.exclude,
                         "main.cf excludes these ciphers, and our answers keep to it");
  if (floor.min_protocol != now.min_protocol)
    draft.change_setting("floor_min_protocol", std::string(to_text(floor.min_protocol)),
                         "main.cf allows no older protocol, and our answers keep to it");
  if (floor.ciphers != now.ciphers)
    draft.change_setting("floor_ciphers", std::string(to_text(floor.ciphers)),
                         "main.cf asks for this grade, and our answers keep to it");
}

}  // namespace forcetls
