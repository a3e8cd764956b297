// What Postfix's SMTP client remembers, obeys, and makes of failures.
#include <fmt/format.h>

#include <algorithm>

#include "shared/core/ascii.h"
#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

/// Our table for smtp_delivery_status_filter, without a file ("$$" is how main.cf writes '$').
constexpr std::string_view kStatusFilter =
    R"(regexp:{{/^5(\.[0-9]+\.[0-9]+ TLS is required, but host .* refused to start TLS: .+)/ 4$$1}})";

bool is_zero(std::string_view value) {
  return value.empty() || value.find_first_of("123456789") == value.npos;
}

bool has_names(const Case& the) {
  return std::any_of(the.needs.begin(), the.needs.end(), [](const Requirement& need) {
    return need.level == Level::Verify || need.level == Level::Secure;
  });
}

/// LMTP to another host is held to its rows, which name servers exactly.
bool goes_elsewhere_by_lmtp(const Case& the) {
  return std::any_of(the.facts.routes.begin(), the.facts.routes.end(), [&](const auto& route) {
    const PostfixService* service = service_of_transport(the, route.second.transport);
    return service != nullptr && service->program == "lmtp" &&
           !is_this_host(the, route.second.next_hop);
  });
}

void check_cache_of(const Case& the, const std::string& client, bool is_used, Findings& found) {
  const Severity severity = is_used ? Severity::Leak : Severity::Note;
  const Certainty certainty = is_used ? Certainty::Certain : Certainty::Possible;
  const std::string on_demand = client + "_connection_cache_on_demand";
  for (const Place& place : places(the, {client}, on_demand))
    if (is_yes(place.value))
      found.push_back({"connection-cache", severity, certainty, where(place, on_demand),
                       "While there is a backlog, an open clear session is used again without "
                       "asking forcetls, for minutes after a row was added.",
                       set_command(the, place, on_demand, "no")});
  const std::string destinations = client + "_connection_cache_destinations";
  for (const Place& place : places(the, {client}, destinations))
    if (!place.value.empty())
      found.push_back({"connection-cache", severity, certainty, where(place, destinations),
                       "Open clear sessions to these destinations are used again without asking "
                       "forcetls.",
                       set_command(the, place, destinations, "")});
}

void check_connection_cache(const Case& the, Findings& found) {
  check_cache_of(the, "smtp", true, found);
  check_cache_of(the, "lmtp", goes_elsewhere_by_lmtp(the), found);
}

void check_session_cache(const Case& the, Findings& found) {
  for (const auto& [program, name] : {std::pair("smtp", "smtp_tls_session_cache_database"),
                                      std::pair("lmtp", "lmtp_tls_session_cache_database")})
    for (const Place& place : places(the, {program}, name))
      if (!place.value.empty())
        found.push_back({"session-cache", Severity::Leak,
                         has_names(the) ? Certainty::Certain : Certainty::Possible,
                         where(place, name),
                         "A resumed TLS session keeps the name check of an earlier delivery: after "
                         "a row is changed to other names, the old server still gets mail.",
                         set_command(the, place, name, "")});
}

bool has_starttls(std::string_view keywords) {
  const auto words = split_list(keywords);
  return std::any_of(words.begin(), words.end(),
                     [](const std::string& word) { return equal_ignoring_case(word, "STARTTLS"); });
}

Finding starttls_is_hidden(const Place& place, std::string_view parameter, std::string_view what) {
  return {"starttls-discarded",
          Severity::Warning,
          Certainty::Certain,
          where(place, parameter),
          fmt::format("{}, so mail for forced domains waits until it expires.", what),
          {}};
}

/// What hides STARTTLS from one client, for all servers or some.
void check_keywords_of(const Case& the, const std::string& client, Findings& found) {
  const std::string keywords = client + "_discard_ehlo_keywords";
  for (const Place& place : places(the, {client}, keywords)) {
    if (!has_starttls(place.value)) continue;
    std::string list;
    for (const std::string& word : split_list(place.value))
      if (!has_starttls(word)) list += (list.empty() ? "" : ", ") + word;
    found.push_back(starttls_is_hidden(place, keywords,
                                       "Postfix does not see that servers offer "
                                       "STARTTLS"));
    found.back().fix = set_command(the, place, keywords, list);
  }
  const std::string maps = client + "_discard_ehlo_keyword_address_maps";
  for (const Place& place : places(the, {client}, maps))
    for (const std::string& table : split_list(place.value)) {
      const auto results = the.facts.actions.find(table);
      if (results == the.facts.actions.end() ||
          std::none_of(results->second.begin(), results->second.end(), has_starttls))
        continue;
      found.push_back(starttls_is_hidden(
          place, maps,
          fmt::format("Postfix does not see that servers in {} offer STARTTLS", table)));
      found.back().certainty = Certainty::Possible;
      found.back().fix = fmt::format("take starttls out of the entries of {}", table);
    }
}

bool waits_on_refusal(const Case& the, const std::string& filters) {
  for (const std::string& filter : split_list(filters)) {
    const auto answer = the.facts.status_answers.find(filter);
    if (answer == the.facts.status_answers.end() || answer->second.empty()) continue;
    return answer->second.starts_with('4');  // The first table that answers decides.
  }
  return false;
}

}  // namespace

void check_memory(const Case& the, Findings& found) {
  check_connection_cache(the, found);
  check_session_cache(the, found);
  if (!the.config.services_of("tlsproxy").empty()) return;
  for (const Place& place : places(the, {"smtp"}, "smtp_tls_connection_reuse"))
    if (is_yes(place.value))
      found.push_back({"connection-reuse", Severity::Warning, Certainty::Certain,
                       where(place, "smtp_tls_connection_reuse"),
                       "It needs the service tlsproxy, which master.cf does not have: every "
                       "delivery over TLS waits.",
                       set_command(the, place, "smtp_tls_connection_reuse", "no")});
}

void check_tls_required(const Case& the, Findings& found) {
  constexpr std::string_view kName = "tls_required_enable";
  if (!the.config.at_least(3, 10)) return;
  for (const Place& place : places(the, {"smtp", "cleanup"}, kName))
    if (is_yes(place.value))
      found.push_back({"tls-required-header", Severity::Leak, Certainty::Certain,
                       where(place, kName),
                       "Whoever writes the header TLS-Required: no into a message switches every "
                       "row off for it.",
                       set_command(the, place, kName, "no")});
}

void check_starttls_is_seen(const Case& the, Findings& found) {
  check_keywords_of(the, "smtp", found);
  if (goes_elsewhere_by_lmtp(the)) check_keywords_of(the, "lmtp", found);
  constexpr std::string_view kNever = "smtp_never_send_ehlo";
  for (const Place& place : places(the, {"smtp"}, kNever))
    if (is_yes(place.value)) {
      found.push_back(
          starttls_is_hidden(place, kNever, "Postfix does not ask servers whether they offer TLS"));
      found.back().fix = set_command(the, place, kNever, "no");
    }
}

void check_bounces(const Case& the, Findings& found) {
  constexpr std::string_view kFilter = "smtp_delivery_status_filter";
  for (const Place& place : places(the, {"smtp"}, kFilter)) {
    if (waits_on_refusal(the, place.value)) continue;
    std::string list(kStatusFilter);
    if (!without_blanks(place.text).empty()) list += ", " + place.text;
    found.push_back({"starttls-5xx", Severity::Warning, Certainty::Certain, where(place, kFilter),
                     "A partner that answers STARTTLS with 5xx makes forced mail bounce at once "
                     "instead of waiting.",
                     set_command(the, place, kFilter, list)});
  }
  constexpr std::string_view kSize = "bounce_size_limit";
  for (const Place& place : places(the, {"bounce"}, kSize)) {
    if (place.value == "1") continue;
    // Whoever writes a size into main.cf has decided that bounces carry text.
    const bool decided = place.service != nullptr || the.config.is_set(kSize);
    found.push_back({"bounce-bodies", decided ? Severity::Note : Severity::Leak,
                     decided ? Certainty::Possible : Certainty::Certain, where(place, kSize),
                     "A bounce carries the text of a forced message back to its sender, as its "
                     "sender's domain is reached.",
                     set_command(the, place, kSize, "1")});
  }
}

void check_silence(const Case& the, Findings& found) {
  for (const Place& place : places(the, {"smtp"}, "smtp_tls_loglevel"))
    if (is_zero(place.value))
      found.push_back({"tls-loglevel", Severity::Warning, Certainty::Certain,
                       where(place, "smtp_tls_loglevel"),
                       "The log does not tell which mail left over TLS, nor how.",
                       set_command(the, place, "smtp_tls_loglevel", "1")});
  for (const Place& place : places(the, {"qmgr", "oqmgr"}, "delay_warning_time"))
    if (is_zero(place.value))
      found.push_back(
          {"silent-deferral", Severity::Warning, Certainty::Certain,
           where(place, "delay_warning_time"),
           fmt::format("Mail that cannot leave as required waits for {}, and its sender "
                       "is not told before.",
                       the.config.value("maximal_queue_lifetime")),
           set_command(the, place, "delay_warning_time", "1h")});
}

}  // namespace forcetls::doctor
