// The delivery half of the plan: what Postfix's SMTP and LMTP clients need to be told, besides whom
// they ask (setup_maps.cc).
#include <algorithm>

#include "shared/core/ascii.h"
#include "shared/mta/setup_draft.h"

namespace forcetls {
namespace {

bool is_empty(std::string_view value) { return value.empty(); }
bool is_no(std::string_view value) { return !is_yes(value); }
bool is_positive(std::string_view value) { return number_in(value) > 0; }
bool is_headers_only(std::string_view value) { return value == "1"; }

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
