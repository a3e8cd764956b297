// The admission half of the plan: policy service and milter, where mail comes in.
#include <algorithm>
#include <array>

#include "shared/core/ascii.h"
#include "shared/core/requirement.h"
#include "shared/mta/setup_draft.h"

namespace forcetls {
namespace {

bool names(std::string_view element, std::string_view socket) {
  const auto parts = inside_braces(element);
  return !parts.empty() && parts.front() == socket;
}

bool is_policy_check(const std::vector<std::string>& list, std::size_t at) {
  return at + 1 < list.size() && equal_ignoring_case(list[at], "check_policy_service") &&
         names(list[at + 1], kPolicySocket);
}

/// `text` without our policy service, wherever somebody put it. As it was if it is not in it.
std::string without_policy_service(const std::string& text) {
  const auto elements = split_list(text);
  std::string kept;
  bool found = false;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (is_policy_check(elements, i)) {
      found = true;
      ++i;
    } else {
      kept = around(kept, elements[i]);
    }
  }
  return found ? kept : std::string(without_blanks(text));
}

void ask_policy_service_first(SetupDraft& draft) {
  constexpr std::string_view kRestrictions = "smtpd_recipient_restrictions";
  for (const Place place : draft.places({kRestrictions})) {
    if (is_policy_check(draft.list(place, kRestrictions), 0)) continue;
    draft.change(place, kRestrictions,
                 around(kPolicyService, without_policy_service(draft.text(place, kRestrictions))),
                 "asked first for each recipient; it adds refusals and never permits");
  }
}

/// A listener that only programs on this host reach: by it a content filter gives mail back that
/// has been through the milters.
bool is_on_loopback(Place place) {
  if (place == nullptr || place->type != "inet") return false;
  const auto address = NextHopKey::parse(place->name);
  return address && is_loopback(*address);
}

bool has_our_milter(const std::vector<std::string>& milters) {
  return std::any_of(milters.begin(), milters.end(),
                     [](const std::string& milter) { return names(milter, kMilterSocket); });
}

/// The parameters of milters, in the order in which they must be changed: one that names the other
/// in its value has ours already once that has it.
std::array<std::string_view, 2> milter_lists(const SetupDraft& draft) {
  constexpr std::string_view kSmtpd = "smtpd_milters", kOthers = "non_smtpd_milters";
  for (const Place place : draft.places({kSmtpd}))
    if (draft.text(place, kSmtpd).find(kOthers) != std::string::npos) return {kOthers, kSmtpd};
  return {kSmtpd, kOthers};
}

void ask_milter(SetupDraft& draft) {
  for (const std::string_view name : milter_lists(draft))
    for (const Place place : draft.places({name})) {
      const auto milters = draft.list(place, name);
      if (has_our_milter(milters)) continue;
      // Mail that comes back has been asked about when it came in.
      if (milters.empty() && is_on_loopback(place)) continue;
      draft.change(place, name, around(kMilter, without_blanks(draft.text(place, name))),
                   "before your own milters, which stay as they are");
    }
  for (const Place place : draft.places({"receive_override_options"})) {
    const auto options = draft.list(place, "receive_override_options");
    if (std::find(options.begin(), options.end(), "no_milters") != options.end() &&
        !is_on_loopback(place))
      draft.advise(name_of(place) +
                   ": receive_override_options has no_milters: mail that comes in there is held by "
                   "the delivery layer alone");
  }
}

bool has_certificate(const SetupDraft& draft, Place place) {
  for (const char* name : {"smtpd_tls_chain_files", "smtpd_tls_cert_file", "smtpd_tls_eccert_file",
                           "smtpd_tls_dcert_file"}) {
    const std::string file = draft.value(place, name);
    if (!file.empty() && file != "none") return true;
  }
  return false;
}

constexpr std::string_view kServerLevel = "smtpd_tls_security_level";

/// The level that older parameters give where smtpd_tls_security_level is empty (postfix: smtpd.c);
/// empty: none.
std::string server_level_of_old_parameters(const SetupDraft& draft, Place place) {
  if (is_yes(draft.value(place, "smtpd_enforce_tls"))) return "encrypt";
  return is_yes(draft.value(place, "smtpd_use_tls")) ? "may" : "";
}

/// What the listeners with older parameters of their own ask for by them: a level in main.cf would
/// make them void.
std::vector<std::pair<Place, std::string>> levels_to_keep(const SetupDraft& draft) {
  std::vector<std::pair<Place, std::string>> kept;
  for (const Place place : draft.places({"smtpd_enforce_tls", "smtpd_use_tls"})) {
    if (place == nullptr || !draft.value(place, kServerLevel).empty()) continue;
    std::string level = server_level_of_old_parameters(draft, place);
    if (level.empty() && !place->options.contains(kServerLevel)) level = "none";
    if (!level.empty()) kept.emplace_back(place, std::move(level));
  }
  return kept;
}

bool has_reason_for_tls(const SetupDraft& draft,
                        const std::vector<std::pair<Place, std::string>>& kept) {
  return has_certificate(draft, nullptr) ||
         server_level_of_old_parameters(draft, nullptr) == "encrypt" ||
         std::any_of(kept.begin(), kept.end(),
                     [](const auto& one) { return one.second == "encrypt"; });
}

void let_clients_use_tls(SetupDraft& draft) {
  if (!draft.value(nullptr, kServerLevel).empty()) return;
  const auto kept = levels_to_keep(draft);
  const std::string consequence =
      ", so clients cannot hand mail in over TLS, and rows with inbound = encrypt refuse all that "
      "comes from other hosts";
  if (!has_reason_for_tls(draft, kept))
    return draft.advise("this host has no certificate (smtpd_tls_cert_file)" + consequence);
  const bool enforces = server_level_of_old_parameters(draft, nullptr) == "encrypt";
  if (!enforces && draft.config().is_set("smtpd_use_tls") &&
      !is_yes(draft.value(nullptr, "smtpd_use_tls")))
    return draft.advise("main.cf: smtpd_use_tls is no" + consequence);
  draft.change(
      nullptr, kServerLevel, enforces ? "encrypt" : "may",
      enforces ? "what smtpd_enforce_tls asks for" : "clients may use TLS when they hand mail in");
  for (const auto& [place, level] : kept)
    if (level != draft.value(place, kServerLevel))
      draft.change(place, kServerLevel, level,
                   "what this service's smtpd_enforce_tls or smtpd_use_tls asks for");
}

}  // namespace

void plan_admission(SetupDraft& draft) {
  ask_policy_service_first(draft);
  ask_milter(draft);
  let_clients_use_tls(draft);
}

}  // namespace forcetls
