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

/// Which of kProtocols a value of smtp_tls_mandatory_protocols lets through: ">=TLSv1.2",
/// "!SSLv2, !SSLv3, !TLSv1" or "TLSv1.2 TLSv1.3" (postfix: postconf(5)).
std::array<bool, 4> protocols_in(std::string_view value) {
  std::array<bool, 4> only{}, excluded{};
  bool has_only = false;
  int from = 0, to = 3;
  for (std::string_view item : items_of(value)) {
    if (item.starts_with(">=")) {
      from = std::max(from, number_of(item.substr(2)));
    } else if (item.starts_with("<=")) {
      to = std::min(to, number_of(item.substr(2)));
    } else if (item.starts_with("!")) {
      if (const int n = number_of(item.substr(1)); n >= 0 && n < 4)
        excluded[static_cast<std::size_t>(n)] = true;
    } else {
      has_only = true;
      if (const int n = number_of(item); n >= 0 && n < 4) only[static_cast<std::size_t>(n)] = true;
    }
  }
  std::array<bool, 4> allowed{};
  for (std::size_t i = 0; i < allowed.size(); ++i)
    allowed[i] = static_cast<int>(i) >= from && static_cast<int>(i) <= to && !excluded[i] &&
                 (!has_only || only[i]);
  return allowed;
}

/// The index of the lowest of them; where none is let through, that of the newest there is.
std::size_t lowest_of(const std::array<bool, 4>& allowed) {
  const auto first = std::find(allowed.begin(), allowed.end(), true);
  return std::min<std::size_t>(static_cast<std::size_t>(first - allowed.begin()), 3);
}

/// A row names the lowest protocol only. What the site leaves out above its own lowest one, an
/// answer of ours lets in: newer and no weaker, but not what main.cf says.
void advise_on_newer(SetupDraft& draft, Place place, const std::string& name) {
  if (place != nullptr && !place->options.contains(name)) return;  // main.cf's, and said there.
  const auto allowed = protocols_in(draft.value(place, name));
  for (std::size_t i = lowest_of(allowed) + 1; i < allowed.size(); ++i)
    if (!allowed[i])
      return draft.advise(name_of(place) + ": " + name + " leaves out " +
                          std::string(kProtocols[i].first) +
                          ", and a row cannot: it names the lowest protocol only, so partners with "
                          "a row may be sent mail by newer ones");
}

/// A row that does not say otherwise asks for grade high.
void advise_on_lists(SetupDraft& draft) {
  constexpr std::string_view kMedium = "tls_medium_cipherlist", kHigh = "tls_high_cipherlist";
  if (draft.config().is_set(kMedium) && !draft.config().is_set(kHigh))
    draft.advise(
        "main.cf: tls_medium_cipherlist is your own and tls_high_cipherlist is not: rows ask for "
        "grade high, and so for the latter, unless they have ciphers = 'medium'; narrow both");
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
  const std::string protocols = prefix + "_tls_mandatory_protocols";
  floor.min_protocol =
      std::max(floor.min_protocol,
               static_cast<Protocol>(lowest_of(protocols_in(draft.value(place, protocols)))));
  advise_on_newer(draft, place, protocols);
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
  advise_on_lists(draft);
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
