#include "shared/mta/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

constexpr Check kChecks[] = {check_policy_maps,
                             check_earlier_tables,
                             check_default_is_last,
                             check_hidden_level,
                             check_hidden_entries,
                             check_lmtp_maps,
                             check_level,
                             check_per_site,
                             check_socket_paths,
                             check_reachability,
                             check_answers,
                             check_routes,
                             check_relayhost,
                             check_transport_entries,
                             check_sender_routes,
                             check_fallback_relay,
                             check_mailbox_transports,
                             check_content_filter,
                             check_proxy_filter,
                             check_actions,
                             check_recipients,
                             check_milter_hosts,
                             check_queued_filters,
                             check_memory,
                             check_tls_required,
                             check_starttls_is_seen,
                             check_bounces,
                             check_silence,
                             check_trust,
                             check_dane,
                             check_fingerprints,
                             check_floors,
                             check_cipher_lists,
                             check_policy_service,
                             check_submission,
                             check_milters,
                             check_skipped_milters,
                             check_unlisted_relays,
                             check_sub_domains,
                             check_directory,
                             check_transports,
                             check_own_domains,
                             check_unseen_tables,
                             check_policy_file};

/// Keeps the first kMostPerId of each id, which are the worst ones.
Findings capped_per_id(Findings found) {
  std::unordered_map<std::string, std::size_t> counts;
  Findings kept;
  for (Finding& finding : found)
    if (++counts[finding.id] <= kMostPerId) kept.push_back(std::move(finding));
  for (Finding& finding : kept) {
    std::size_t& count = counts[finding.id];
    if (count <= kMostPerId) continue;
    finding.what += fmt::format(" And {} more of this kind.", count - kMostPerId);
    count = 0;
  }
  return kept;
}

/// Other commands run postconf, so this one is to be the first.
Finding missing_newline(const HostFacts& facts) {
  const std::string file = facts.main_cf_directory + "/main.cf";
  return {"main-cf-newline",
          Severity::Warning,
          Certainty::Certain,
          "main.cf: the last line",
          "It does not end in a newline: some versions of postconf write the next parameter behind "
          "it on the same line, and both are lost. Run this command before any other.",
          fmt::format("printf '\\n' >>{}", shell_word(file))};
}

}  // namespace

std::string_view to_text(Severity severity) {
  switch (severity) {
    case Severity::Note:
      return "note";
    case Severity::Warning:
      return "warning";
    case Severity::Leak:
      return "leak";
  }
  return "leak";
}

std::string_view to_text(Certainty certainty) {
  switch (certainty) {
    case Certainty::Possible:
      return "possible";
    case Certainty::Likely:
      return "likely";
    case Certainty::Certain:
      return "certain";
  }
  return "certain";
}

std::vector<Finding> examine(const PostfixConfig& config, const RuleStore& policy,
                             const HostFacts& facts, TimePoint now) {
  const Case the = make_case(config, policy, facts, now);
  Findings found;
  for (const Check check : kChecks) check(the, found);
  found = worst_first(std::move(found));
  if (!facts.main_cf_ends_in_newline) found.insert(found.begin(), missing_newline(facts));
  return found;
}

Findings worst_first(Findings found) {
  std::stable_sort(found.begin(), found.end(), [](const Finding& a, const Finding& b) {
    return std::pair(a.severity, a.certainty) > std::pair(b.severity, b.certainty);
  });
  return capped_per_id(std::move(found));
}

}  // namespace forcetls::doctor
