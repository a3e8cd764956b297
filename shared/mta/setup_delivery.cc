// The delivery half of the plan: what Postfix's SMTP and LMTP clients need to be told.
#include <algorithm>

#include "shared/core/ascii.h"
#include "shared/mta/setup_draft.h"

namespace forcetls {
namespace {

bool is_empty(std::string_view value) { return value.empty(); }
bool is_no(std::string_view value) { return !is_yes(value); }
bool is_positive(std::string_view value) { return number_in(value) > 0; }
bool is_headers_only(std::string_view value) { return value == "1"; }

/// `text` without our maps, wherever somebody put them. As it was if they are not in it.
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

void ask_for_next_hops(SetupDraft& draft) {
  for (const Place place : draft.places({"smtp_tls_policy_maps"})) {
    const auto maps = draft.list(place, "smtp_tls_policy_maps");
    const std::string own = without_our_maps(draft.text(place, "smtp_tls_policy_maps"));
    // A service that asks no table at all is meant to be left alone by defaults, not by rows.
    const bool rows_only = place != nullptr && own.empty();
    const bool begins = !maps.empty() && maps.front() == kTlsMap;
    const bool ends = !maps.empty() && (rows_only || maps.back() == kDefaultMap);
    if (begins && ends) continue;
    draft.change(place, "smtp_tls_policy_maps",
                 around(kTlsMap, own, rows_only ? std::string_view() : kDefaultMap),
                 rows_only
                     ? "rows of domain_policy hold for this transport too; without rows "
                       "nothing changes"
                     : "asked for each next hop: rows of domain_policy first, your own tables "
                       "in their order, the settings' defaults last");
  }
  for (const Place place : draft.places({"lmtp_tls_policy_maps"})) {
    const auto maps = draft.list(place, "lmtp_tls_policy_maps");
    if (!maps.empty() && maps.front() == kLmtpMap) continue;
    draft.change(place, "lmtp_tls_policy_maps",
                 around(kLmtpMap, without_our_maps(draft.text(place, "lmtp_tls_policy_maps"))),
                 "asked for each LMTP server: only rows that name it exactly");
  }
}

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
  return level.empty() && says_no && !place->options.contains("smtp_tls_security_level") ? "none"
                                                                                         : level;
}

void use_tls_where_offered(SetupDraft& draft) {
  constexpr std::string_view kLevel = "smtp_tls_security_level";
  // Read before main.cf gets a level: an explicit one makes the old parameters void.
  std::vector<std::pair<Place, std::string>> kept;
  for (const Place place :
       draft.places({"smtp_enforce_tls", "smtp_use_tls", "smtp_tls_enforce_peername", kLevel}))
    if (place != nullptr && draft.value(place, kLevel).empty() && place->program == "smtp")
      kept.emplace_back(place, level_to_keep(draft, place));
  const std::string now = draft.value(nullptr, kLevel);
  std::string wanted = now.empty() ? level_of_old_parameters(draft, nullptr) : now;
  if (wanted.empty() || wanted == "none") wanted = "may";
  if (wanted != now)
    draft.change(nullptr, kLevel, wanted,
                 wanted == "may" ? "TLS where it is offered, for all without a row"
                                 : "what smtp_enforce_tls asks for, in the parameter that counts");
  for (const auto& [place, level] : kept)
    if (!level.empty() && level != draft.value(place, kLevel))
      draft.change(place, kLevel, level,
                   "what this service's smtp_enforce_tls or smtp_use_tls asks for");
}

void forget_weaker_times(SetupDraft& draft, const std::string& client) {
  constexpr std::string_view kCached =
      "a cached clear session would be used without asking the table";
  constexpr std::string_view kResumed =
      "a resumed TLS session keeps the name check of an earlier row";
  draft.want(client + "_connection_cache_on_demand", is_no, "no", kCached);
  draft.want(client + "_connection_cache_destinations", is_empty, "", kCached);
  draft.want(client + "_tls_session_cache_database", is_empty, "", kResumed);
}

void wait_instead_of_bouncing(SetupDraft& draft, const std::string& client) {
  const std::string filter = client + "_delivery_status_filter";
  const std::string ours =
      "regexp:" + draft.value(nullptr, "config_directory") + "/" + std::string(kStatusFilterName);
  for (const Place place : draft.places({filter})) {
    const auto filters = draft.list(place, filter);
    if (!filters.empty() && filters.front() == ours) continue;
    const bool by_default = place == nullptr && !draft.config().is_set(filter);
    const std::string own = filters.empty() ? ""
                            : by_default    ? "$default_delivery_status_filter"
                                            : draft.text(place, filter);
    draft.change(place, filter, around(kStatusFilter, own),
                 "a partner that answers STARTTLS with 5xx makes forced mail wait, not bounce");
  }
}

void check_certificates(SetupDraft& draft, const std::string& client) {
  const std::string file = client + "_tls_CAfile", directory = client + "_tls_CApath";
  for (const Place place : draft.places({file, directory})) {
    const std::string store = draft.value(place, directory);
    // The public store as a directory is the same store; any other is the site's choice.
    const bool chosen = !store.empty() && store != "/etc/ssl/certs" && store != "/etc/ssl/certs/";
    if (chosen || !draft.value(place, file).empty()) continue;
    if (draft.facts().has_ca_bundle)
      draft.change(place, file, std::string(kCaBundle),
                   "verify and secure need the certificate authorities, read before the chroot");
    else
      draft.advise("there is no " + std::string(kCaBundle) +
                   ": rows of level verify and secure wait until you install ca-certificates and "
                   "run setup again");
  }
}

void compare_digests_by_sha256(SetupDraft& draft, const std::string& client) {
  const std::string digest = client + "_tls_fingerprint_digest";
  for (const Place place : draft.places({digest})) {
    if (equal_ignoring_case(draft.value(place, digest), "sha256")) continue;
    const bool site_may_have_digests =
        !without_our_maps(draft.value(place, client + "_tls_policy_maps")).empty() ||
        !draft.value(place, client + "_tls_fingerprint_cert_match").empty() ||
        draft.value(place, client + "_tls_security_level") == "fingerprint";
    if (site_may_have_digests)
      draft.advise(name_of(place) + ": " + digest + " stays " + draft.value(place, digest) +
                   ", since your own tables may hold such digests: rows of level fingerprint are "
                   "SHA-256 and will wait until you have changed both");
    else
      draft.change(place, digest, "sha256", "digests in rows of level fingerprint are SHA-256");
  }
}

void look_up_tlsa(SetupDraft& draft) {
  constexpr std::string_view kSupport = "smtp_dns_support_level";
  const auto& rows = draft.facts().rows;
  if (std::none_of(rows.begin(), rows.end(), [](const SetupRow& row) {
        return row.outbound == Level::Dane || row.outbound == Level::DaneOnly;
      }))
    return;
  for (const Place place : draft.places({kSupport})) {
    const std::string value = draft.value(place, kSupport);
    if (value == "disabled")
      draft.advise(name_of(place) + ": " + std::string(kSupport) +
                   " is disabled, so rows of level dane and dane-only cannot be met there");
    else if (value != "dnssec")
      draft.change(place, kSupport, "dnssec",
                   "rows of level dane and dane-only need signed answers (from a validating "
                   "resolver on this host)");
  }
}

void limit_bounces(SetupDraft& draft) {
  constexpr std::string_view kLimit = "bounce_size_limit";
  if (!draft.facts().bounce_bodies)
    draft.want(kLimit, is_headers_only, "1",
               "a bounce would carry the text back in clear: headers only (--bounce-bodies keeps "
               "it)");
  else if (!draft.config().is_set(kLimit))
    draft.change(nullptr, kLimit, draft.value(nullptr, kLimit),
                 "as before, but written down: bounces may carry the text (--bounce-bodies)");
}

}  // namespace

void plan_delivery(SetupDraft& draft) {
  ask_for_next_hops(draft);
  use_tls_where_offered(draft);
  for (const char* client : {"smtp", "lmtp"}) {
    draft.want(std::string(client) + "_tls_loglevel", is_positive, "1",
               "without a line per TLS session there is no proof");
    check_certificates(draft, client);
    compare_digests_by_sha256(draft, client);
    forget_weaker_times(draft, client);
    wait_instead_of_bouncing(draft, client);
  }
  look_up_tlsa(draft);
  draft.want("enable_idna2003_compatibility", is_no, "no",
             "the old way delivers a name with a sharp s to the one with ss, which may have no "
             "row");
  if (draft.config().at_least(3, 10))
    draft.want("tls_required_enable", is_no, "no",
               "a header TLS-Required: no would switch the policy off for its message");
  draft.want("delay_warning_time", is_positive, "1h",
             "what waits is told to its sender, instead of after five days");
  limit_bounces(draft);
}

}  // namespace forcetls
