// Is the policy service asked for every recipient, before anything that permits?
#include <fmt/format.h>

#include <algorithm>

#include "shared/core/ascii.h"
#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

constexpr std::string_view kRecipientRestrictions = "smtpd_recipient_restrictions";
/// The same for postconf -P, which takes no blanks: Postfix's own default_action is a 451 too.
constexpr std::string_view kOurServiceWithoutBlanks =
    "check_policy_service,{unix:forcetls/policy.sock,timeout=10s}";

std::string first_in_list(const Case& the, const Place& place) {
  std::string list(place.service == nullptr ? kPolicyService : kOurServiceWithoutBlanks);
  const auto restrictions = split_list(place.text);
  const auto ours = our_policy_service(restrictions, the.facts.our_addresses);
  if (ours) {
    list = fmt::format("check_policy_service{}{}", place.service == nullptr ? " " : ",",
                       ours->element);
  }
  for (std::size_t i = 0; i < restrictions.size(); ++i) {
    if (ours && (i == ours->position || i == ours->position + 1)) continue;
    list += ", " + restrictions[i];
  }
  return set_command(the, place, kRecipientRestrictions, list);
}

/// A restriction that can end the list with a permit.
bool can_permit(const std::string& restriction) {
  if (restriction.starts_with("permit")) return true;
  return restriction.starts_with("check_");
}

bool fails_open(std::string_view action) {
  if (action.empty()) return false;
  const std::string_view word = action.substr(0, action.find_first_of(" \t"));
  for (const char* closed : {"reject", "defer", "defer_if_permit", "defer_if_reject"})
    if (equal_ignoring_case(word, closed)) return false;
  return !(word.front() == '4' || word.front() == '5');
}

void check_order(const Case& the, const Place& place, const std::vector<std::string>& restrictions,
                 const PolicyService& ours, Findings& found) {
  const auto end = restrictions.begin() + static_cast<std::ptrdiff_t>(ours.position);
  const auto permit = std::find_if(restrictions.begin(), end, can_permit);
  if (permit == end) return;
  const bool by_itself = permit->starts_with("permit");
  found.push_back({"policy-service-not-first", Severity::Warning,
                   by_itself ? Certainty::Certain : Certainty::Possible,
                   where(place, kRecipientRestrictions),
                   fmt::format("{} stands before the policy service: what it permits is not asked "
                               "about.",
                               *permit),
                   first_in_list(the, place)});
}

void check_default_action(const Case& the, const Place& place, const PolicyService& ours,
                          Findings& found) {
  constexpr std::string_view kDefault = "smtpd_policy_service_default_action";
  const std::string own = option_in(ours.element, "default_action");
  const std::string action = own.empty() ? value_at(the, place, kDefault) : own;
  if (!fails_open(action)) return;
  const Place main_cf{nullptr, {}, {}};
  found.push_back({"policy-service-default-action", Severity::Warning, Certainty::Certain,
                   own.empty() ? where(place, kDefault) : where(place, kRecipientRestrictions),
                   fmt::format("While policyd does not answer, clients are told {}: what it would "
                               "refuse is taken.",
                               action),
                   own.empty() ? unset_command(the,
                                               place.service != nullptr &&
                                                       place.service->options.contains(kDefault)
                                                   ? place
                                                   : main_cf,
                                               kDefault)
                               : setup_command(the)});
}

bool is_submission(const PostfixService& service) {
  const auto colon = service.name.rfind(':');
  const std::string port =
      colon == service.name.npos ? service.name : service.name.substr(colon + 1);
  for (const char* name : {"submission", "587", "submissions", "smtps", "465"})
    if (port == name) return true;
  return false;
}

bool demands_tls(const Case& the, const PostfixService& service) {
  if (is_yes(the.config.value(service, "smtpd_tls_wrappermode"))) return true;
  const std::string level = the.config.value(service, "smtpd_tls_security_level");
  if (level.empty()) return is_yes(the.config.value(service, "smtpd_enforce_tls"));
  return level == "encrypt";
}

}  // namespace

void check_policy_service(const Case& the, Findings& found) {
  for (const Place& place : places(the, {"smtpd"}, kRecipientRestrictions)) {
    const auto restrictions = split_list(place.value);
    const auto ours = our_policy_service(restrictions, the.facts.our_addresses);
    if (ours) {
      check_order(the, place, restrictions, *ours, found);
      check_default_action(the, place, *ours, found);
      continue;
    }
    // Content filters give mail back to such a listener: it was asked about when it came in.
    const bool is_inner = place.service != nullptr && is_loopback_listener(the, *place.service);
    found.push_back({"policy-service-missing", is_inner ? Severity::Note : Severity::Warning,
                     Certainty::Certain, where(place, kRecipientRestrictions),
                     "Clients here are not told that mail for a forced domain must wait, nor that "
                     "it may not come in clear.",
                     first_in_list(the, place)});
  }
}

void check_submission(const Case& the, Findings& found) {
  for (const PostfixService* service : the.config.services_of("smtpd")) {
    if (!is_submission(*service) || is_loopback_listener(the, *service)) continue;
    if (demands_tls(the, *service)) continue;
    found.push_back({"submission-clear", Severity::Warning, Certainty::Certain,
                     fmt::format("master.cf: {}", service->label()),
                     "Your own users can hand in mail for forced domains in clear here.",
                     set_command(the, {service, {}, {}}, "smtpd_tls_security_level", "encrypt")});
  }
}

}  // namespace forcetls::doctor
