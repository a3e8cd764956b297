// What no row names although it leads to a partner that has one: its servers by address or name,
// and its sub-domains. Whether that mail is meant too, only a person can say: notes.
#include <fmt/format.h>

#include <algorithm>

#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

/// So many sub-domain rows at most are proposed in one command.
constexpr std::size_t kMostProposed = 20;

/// True if mail to the sub-domains of the row is held to as much, by whatever row.
bool sub_domains_are_held(const Case& the, const ForcedRow& row) {
  const auto below = NextHopKey::parse("forcetls-doctor." + row.key);
  if (!below) return true;
  return satisfies(effective_requirement(the.policy, *below, the.now), row.requirement);
}

/// Rows that hold for a domain alone.
std::vector<std::string> rows_without_sub_domains(const Case& the) {
  std::vector<std::string> domains;
  const auto stricter = stricter_sub_domains(the);
  for (const ForcedRow& row : the.forced) {
    const auto key = NextHopKey::parse(row.key);
    if (!key || key->kind != KeyKind::Name || row.key.starts_with('.')) continue;
    if (has_row(the, "." + row.key) || sub_domains_are_held(the, row)) continue;
    // A row like this one would take something away there.
    if (std::find(stricter.begin(), stricter.end(), row.key) != stricter.end()) continue;
    domains.push_back(row.key);
  }
  std::sort(domains.begin(), domains.end());
  return domains;
}

/// Rows for their sub-domains that say the same of outbound mail.
std::string sub_domain_command(const Case& the, const std::vector<std::string>& domains) {
  constexpr std::string_view kSame =
      "mode, outbound, match, min_protocol, ciphers, exclude, tafile, on_failure, fallback, "
      "contact, reference";
  std::string names;
  for (std::size_t i = 0; i < std::min(domains.size(), kMostProposed); ++i)
    names += fmt::format("{}'{}'", i == 0 ? "" : ", ", domains[i]);
  return sql_command(the, fmt::format("INSERT INTO domain_policy(domain, {}) SELECT '.' || domain, "
                                      "{} FROM domain_policy WHERE domain IN ({})",
                                      kSame, kSame, names));
}

}  // namespace

void check_unlisted_relays(const Case& the, Findings& found) {
  if (!the.has_rows() || the.policy.settings().unlisted_relay != UnlistedRelay::Unset) return;
  found.push_back({"unlisted-relay", Severity::Note, Certainty::Certain,
                   "policy.db: setting unlisted_relay",
                   "Mail to an address literal (user@[192.0.2.1]), and mail that is sent to "
                   "[host], [host]:port or host:port without a row, is not held to anything, also "
                   "where that is a partner's server. With encrypt it is, and so are relays and "
                   "filters on other hosts of yours that have no row: those must offer TLS then.",
                   setting_command(the, "unlisted_relay", "encrypt")});
}

void check_sub_domains(const Case& the, Findings& found) {
  // With that setting they are held to encrypt; what more they need is said nowhere.
  if (the.policy.settings().default_outbound == DefaultOutbound::Encrypt) return;
  const auto domains = rows_without_sub_domains(the);
  if (domains.empty()) return;
  found.push_back({"sub-domain-rows", Severity::Note, Certainty::Possible, "policy.db",
                   fmt::format("The rows of {} hold for these domains alone: mail to their "
                               "sub-domains is not held to anything.",
                               some_of(domains)),
                   sub_domain_command(the, domains)});
}

}  // namespace forcetls::doctor
