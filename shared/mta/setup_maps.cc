// Whom Postfix asks for a next hop, and the level that holds where nobody answers.
#include <algorithm>

#include "shared/core/requirement.h"
#include "shared/mta/setup_draft.h"

namespace forcetls {
namespace {

constexpr std::string_view kMaps = "smtp_tls_policy_maps";
constexpr std::string_view kClientLevel = "smtp_tls_security_level";

/// The level that older parameters give where smtp_tls_security_level is empty (postfix:
/// smtp_tls_policy.c, global_tls_level); empty: none.
std::string level_of_old_parameters(const SetupDraft& draft, Place place) {
  if (is_yes(draft.value(place, "smtp_enforce_tls")))
    return is_yes(draft.value(place, "smtp_tls_enforce_peername")) ? "verify" : "encrypt";
  return is_yes(draft.value(place, "smtp_use_tls")) ? "may" : "";
}

/// The level that a service must be given, so that main.cf's new one does not reach it; empty:
/// none.
std::string level_to_keep(const SetupDraft& draft, Place place) {
  const std::string level = level_of_old_parameters(draft, place);
  const bool says_no =
      place->options.contains("smtp_use_tls") || place->options.contains("smtp_enforce_tls");
  return level.empty() && says_no && !place->options.contains(kClientLevel) ? "none" : level;
}

void use_tls_where_offered(SetupDraft& draft) {
  // Read before main.cf gets a level: an explicit one makes the old parameters void.
  std::vector<std::pair<Place, std::string>> kept;
  for (const Place place : draft.places(
           {"smtp_enforce_tls", "smtp_use_tls", "smtp_tls_enforce_peername", kClientLevel}))
    if (place != nullptr && draft.value(place, kClientLevel).empty() && place->program == "smtp")
      kept.emplace_back(place, level_to_keep(draft, place));
  const std::string now = draft.value(nullptr, kClientLevel);
  std::string wanted = now.empty() ? level_of_old_parameters(draft, nullptr) : now;
  if (wanted.empty() || wanted == "none") wanted = "may";
  if (wanted != now)
    draft.change(nullptr, kClientLevel, wanted,
                 wanted == "may" ? "TLS where it is offered, for all without a row"
                                 : "what smtp_enforce_tls asks for, in the parameter that counts");
  for (const auto& [place, level] : kept)
    if (!level.empty() && level != draft.value(place, kClientLevel))
      draft.change(place, kClientLevel, level,
                   "what this service's smtp_enforce_tls or smtp_use_tls asks for");
}

/// The site's own level there. Nothing: none that Postfix knows.
std::optional<Level> level_of(const SetupDraft& draft, Place place) {
  return level_from(draft.value(place, kClientLevel));
}

bool needs_no_default(const SetupDraft& draft, Place place) {
  return proves_more_than_defaults(draft.value(place, kClientLevel));
}

/// Where smtp_tls_policy_maps needs a value: where it has one, and in each service whose own level
/// needs the map default where main.cf's does not, or the other way round.
std::vector<Place> places_of_maps(const SetupDraft& draft) {
  std::vector<Place> places = draft.places({kMaps});
  for (const Place place : draft.config().services_of("smtp"))
    if (!place->options.contains(kMaps) &&
        needs_no_default(draft, place) != needs_no_default(draft, nullptr))
      places.push_back(place);
  return places;
}

void ask_first_and_last(SetupDraft& draft, Place place) {
  const auto maps = draft.list(place, kMaps);
  const std::string own = without_our_maps(draft.text(place, kMaps));
  // A service that asks no table at all is meant to be left alone by defaults, not by rows.
  const bool rows_only = place != nullptr && place->options.contains(kMaps) && own.empty();
  const bool no_default = needs_no_default(draft, place);
  const bool has_default = std::find(maps.begin(), maps.end(), kDefaultMap) != maps.end();
  const bool begins = !maps.empty() && maps.front() == kTlsMap;
  const bool ends = no_default ? !has_default : rows_only || (begins && maps.back() == kDefaultMap);
  if (begins && ends) return;
  const bool with_default = !no_default && !rows_only;
  draft.change(place, kMaps, around(kTlsMap, own, with_default ? kDefaultMap : std::string_view()),
               no_default ? "asked for each next hop: rows of domain_policy first, your own tables "
                            "in their order, and then your own level, to which the settings' "
                            "defaults add nothing"
               : rows_only ? "rows of domain_policy hold for this transport too; without rows "
                             "nothing changes"
                           : "asked for each next hop: rows of domain_policy first, your own "
                             "tables in their order, the settings' defaults last");
}

void ask_for_next_hops(SetupDraft& draft) {
  for (const Place place : places_of_maps(draft)) ask_first_and_last(draft, place);
  for (const Place place : draft.places({"lmtp_tls_policy_maps"})) {
    const auto maps = draft.list(place, "lmtp_tls_policy_maps");
    if (!maps.empty() && maps.front() == kLmtpMap) continue;
    draft.change(place, "lmtp_tls_policy_maps",
                 around(kLmtpMap, without_our_maps(draft.text(place, "lmtp_tls_policy_maps"))),
                 "asked for each LMTP server: only rows that name it exactly");
  }
}

/// True if a row of level `row` lets through what `site` does not.
bool is_weaker(Level row, Level site) {
  if (site == Level::Dane) return row == Level::None || row == Level::May;
  return !satisfies(Requirement{.level = row}, Requirement{.level = site});
}

/// A row is somebody's word for one partner, and holds; but it should be said.
void advise_weaker_rows(SetupDraft& draft) {
  const auto site = level_of(draft, nullptr);
  if (!site) return;
  std::vector<std::string> weaker;
  for (const SetupRow& row : draft.facts().rows)
    if (row.in_force && is_weaker(row.outbound, *site))
      weaker.push_back(row.key + " (" + std::string(to_text(row.outbound)) + ")");
  if (weaker.empty()) return;
  const std::string more =
      weaker.size() > 1 ? " and " + std::to_string(weaker.size() - 1) + " more" : "";
  draft.advise("smtp_tls_security_level is " + std::string(to_text(*site)) + ", and the row of " +
               weaker.front() + more + " asks for less: for these the row holds");
}

void advise_on_dane(SetupDraft& draft) {
  for (const Place place : draft.places({kClientLevel}))
    if (level_of(draft, place) == Level::Dane)
      draft.advise(name_of(place) +
                   ": smtp_tls_security_level is dane: the settings default_outbound and "
                   "unlisted_relay, once they are encrypt, answer instead of it, so that nobody "
                   "is sent mail in clear, and partners with TLSA records are no longer verified; "
                   "give those rows of level dane-only first");
}

void advise_on_names(SetupDraft& draft) {
  if (draft.list(nullptr, "smtp_tls_secure_cert_match") == std::vector<std::string>{"nexthop"})
    draft.advise(
        "main.cf: smtp_tls_secure_cert_match is nexthop: a row of level secure takes names below "
        "the next hop, too, unless it has match = 'nexthop'");
}

}  // namespace

bool proves_more_than_defaults(std::string_view level) {
  const auto known = level_from(level);
  return known && !satisfies(Requirement{.level = Level::Encrypt}, Requirement{.level = *known});
}

std::string without_our_maps(const std::string& text) {
  std::string kept;
  bool found = false;
  for (const std::string& element : split_list(text)) {
    if (element == kTlsMap || element == kDefaultMap || element == kLmtpMap)
      found = true;
    else
      kept = around(kept, element);
  }
  return found ? kept : std::string(without_blanks(text));
}

void plan_maps(SetupDraft& draft) {
  use_tls_where_offered(draft);
  ask_for_next_hops(draft);
  advise_weaker_rows(draft);
  advise_on_dane(draft);
  advise_on_names(draft);
}

}  // namespace forcetls
