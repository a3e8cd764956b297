// Does the milter see the mail, and what happens while it does not answer?
#include <fmt/format.h>

#include <algorithm>

#include "shared/core/ascii.h"
#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

constexpr std::string_view kMilterWithoutBlanks =
    "{unix:forcetls/milter.sock,default_action=tempfail,command_timeout=10s}";

std::string first_in_list(const Case& the, const Place& place, std::string_view name) {
  std::string list(place.service == nullptr ? kMilter : kMilterWithoutBlanks);
  if (!without_blanks(place.text).empty()) list += ", " + place.text;
  return set_command(the, place, name, list);
}

void check_action(const Case& the, const Place& place, std::string_view name,
                  const std::string& milter, Findings& found) {
  constexpr std::string_view kDefault = "milter_default_action";
  const std::string own = option_in(milter, "default_action");
  const std::string action = !own.empty() ? own
                             : place.service == nullptr
                                 ? the.config.value(kDefault)
                                 : the.config.value(*place.service, kDefault);
  if (equal_ignoring_case(action, "tempfail") || equal_ignoring_case(action, "shutdown")) return;
  std::string list;
  for (const std::string& element : split_list(place.text)) {
    const bool ours = our_milter({element}, the.facts.our_addresses).has_value();
    const std::string written =
        ours ? fmt::format("{{{},default_action=tempfail}}", address_in(element)) : element;
    list += (list.empty() ? "" : ", ") + written;
  }
  found.push_back(
      {"milter-default-action", Severity::Warning, Certainty::Certain, where(place, name),
       fmt::format("While the milter does not answer, mail is not tempfailed but: {}.", action),
       set_command(the, place, name, list)});
}

void check_list(const Case& the, std::string_view program, std::string_view name, Findings& found) {
  for (const Place& place : places(the, {program}, name)) {
    const auto milter = our_milter(split_list(place.value), the.facts.our_addresses);
    if (milter) {
      check_action(the, place, name, *milter, found);
      continue;
    }
    // Mail that a content filter gives back has been seen when it came in.
    const bool is_inner = place.service != nullptr && is_loopback_listener(the, *place.service);
    found.push_back({"milter-missing", is_inner ? Severity::Note : Severity::Warning,
                     Certainty::Certain, where(place, name),
                     "The milter does not see this mail: routes around a row and TLS-Required: no "
                     "are not noticed.",
                     first_in_list(the, place, name)});
  }
}

}  // namespace

void check_milters(const Case& the, Findings& found) {
  check_list(the, "smtpd", "smtpd_milters", found);
  check_list(the, "cleanup", "non_smtpd_milters", found);
}

void check_skipped_milters(const Case& the, Findings& found) {
  constexpr std::string_view kName = "receive_override_options";
  for (const Place& place : places(the, {"smtpd", "pickup", "qmqpd"}, kName)) {
    const auto options = split_list(place.value);
    if (std::find(options.begin(), options.end(), "no_milters") == options.end()) continue;
    const bool is_inner = place.service != nullptr && is_loopback_listener(the, *place.service);
    std::string list;
    for (const std::string& option : options)
      if (option != "no_milters") list += (list.empty() ? "" : ",") + option;
    found.push_back({"milter-skipped", is_inner ? Severity::Note : Severity::Warning,
                     Certainty::Certain, where(place, kName),
                     is_inner
                         ? "Mail that comes in here is not shown to the milter, which is right "
                           "where a content filter on this host gives it back."
                         : "Mail that comes in here is not shown to the milter.",
                     set_command(the, place, kName, list)});
  }
  constexpr std::string_view kMaps = "smtpd_milter_maps";
  for (const Place& place : places(the, {"smtpd"}, kMaps)) {
    const bool is_inner = place.service != nullptr && is_loopback_listener(the, *place.service);
    if (place.value.empty() || is_inner) continue;
    found.push_back({"milter-skipped", Severity::Note, Certainty::Possible, where(place, kMaps),
                     "Clients that this table names have other milters, or none: their mail is "
                     "held by the delivery layer alone.",
                     set_command(the, place, kMaps, "")});
  }
}

}  // namespace forcetls::doctor
