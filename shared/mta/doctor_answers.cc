// Does the policyd that Postfix asks know the policy that was examined? A daemon that was started
// on another file, or that is stuck, answers well and by other rows; and whatever else calls its
// socketmap "tls" looks like ours.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "shared/mta/doctor_case.h"
#include "shared/mta/postfix_policy.h"

namespace forcetls::doctor {
namespace {

/// What Postfix is told for a key: by the first of our maps that knows it.
struct Told {
  const std::string* answer = nullptr;   ///< nullptr: no map has the key
  const std::string* failure = nullptr;  ///< or why Postfix gets no answer
};

Told told_for(const Case& the, const std::vector<std::string>& maps, const std::string& key) {
  for (const std::string& map : maps) {
    const LiveAnswers& live = the.facts.live_answers.at(map);
    if (const auto failure = live.failures.find(key); failure != live.failures.end())
      return {nullptr, &failure->second};
    if (const auto answer = live.answers.find(key); answer != live.answers.end())
      return {&answer->second, nullptr};
  }
  return {};
}

/// True if the names of `wanted` (a:b) are all in `list`.
bool has_all(std::string_view list, std::string_view wanted) {
  const auto names_in = [](std::string_view text) {
    std::set<std::string_view> names;
    while (!text.empty()) {
      const std::string_view name = text.substr(0, text.find(':'));
      text.remove_prefix(std::min(name.size() + 1, text.size()));
      names.insert(name);
    }
    return names;
  };
  const auto have = names_in(list), need = names_in(wanted);
  return std::includes(have.begin(), have.end(), need.begin(), need.end());
}

/// True if Postfix, told `answer` (empty: nothing), might deliver what `wanted` forbids. Both as
/// policyd writes them.
bool is_weaker(std::string_view answer, std::string_view wanted) {
  const auto need = requirement_in_postfix_policy(wanted);
  if (!need || !is_forced(need->level)) return false;
  if (answer.empty()) return true;
  const auto have = requirement_in_postfix_policy(answer);
  if (!have) return false;  // Postfix defers on a word that it does not know.
  if (!satisfies(*have, *need) || !has_all(have->exclude, need->exclude)) return true;
  return have->level == need->level && (have->match != need->match || have->tafile != need->tafile);
}

/// The rows of which Postfix is told something else than policy.db says, by what that comes to.
struct Disagreement {
  std::vector<std::string> weaker, failing, other;
  std::string example;  ///< of the first that is weaker
  std::string why;      ///< of the first that fails
};

void judge(const Case& the, const std::vector<std::string>& maps, const ForcedRow& row,
           Disagreement& seen) {
  const auto key = NextHopKey::parse(row.key);
  if (!key) return;
  const Told told = told_for(the, maps, row.key);
  if (told.failure != nullptr) {
    if (seen.failing.empty()) seen.why = *told.failure;
    seen.failing.push_back(row.key);
    return;
  }
  const std::string_view answer = told.answer == nullptr ? std::string_view() : *told.answer;
  std::string wanted;
  // A suspension may have begun or ended since the question.
  for (const TimePoint when : {the.facts.live_answers.at(maps.front()).asked_at, the.now}) {
    const auto requirement = effective_requirement(the.policy, *key, when);
    wanted = requirement ? to_postfix_policy(*requirement) : std::string();
    if (answer == wanted) return;
  }
  const bool weaker = is_weaker(answer, wanted);
  // The map "forced" may say more than the row.
  if (!weaker && is_our_map(maps.front(), "forced")) return;
  if (weaker && seen.weaker.empty())
    seen.example = fmt::format("of {} it says {}, where policy.db says {}", row.key,
                               answer.empty() ? "nothing" : answer, wanted);
  (weaker ? seen.weaker : seen.other).push_back(row.key);
}

/// The list with our own socketmap first, if something else was taken for it; else policyd anew.
std::string fix_for(const Case& the, const Place& place, const std::vector<std::string>& maps) {
  if (is_our_socket(socket_of_map(maps.front()), the.facts.our_addresses))
    return "systemctl restart forcetls-policyd";
  std::string list(kTlsMap);
  for (const std::string& table : split_list(place.text))
    if (table != kTlsMap) list += ", " + table;
  return set_command(the, place, kPolicyMaps, list);
}

void report(const Case& the, const Place& place, const std::vector<std::string>& maps,
            const Disagreement& seen, Findings& found) {
  const std::string where_it_is = fmt::format("{}: {}", where(place, kPolicyMaps), maps.front());
  const std::string fix = fix_for(the, place, maps);
  const std::string cause = fmt::format(
      " What answers reads another database than {}, or has not taken in its last changes.",
      the.facts.policy.path);
  if (!seen.weaker.empty())
    found.push_back({kPolicydAnswers, Severity::Leak, Certainty::Certain, where_it_is,
                     fmt::format("Postfix is told less than the row demands for {}: {}.{}",
                                 some_of(seen.weaker), seen.example, cause),
                     fix});
  if (!seen.failing.empty())
    found.push_back({kPolicydAnswers, Severity::Warning, Certainty::Certain, where_it_is,
                     fmt::format("A lookup fails for {}, so that mail waits: {}",
                                 some_of(seen.failing), seen.why),
                     fix});
  if (!seen.other.empty())
    found.push_back({kPolicydAnswers, Severity::Warning, Certainty::Certain, where_it_is,
                     fmt::format("Postfix is told something else than the row demands for {}, so "
                                 "that mail may wait.{}",
                                 some_of(seen.other), cause),
                     fix});
}

}  // namespace

void check_answers(const Case& the, Findings& found) {
  for (const Place& place : places(the, {"smtp"}, kPolicyMaps)) {
    std::vector<std::string> maps;
    for (const std::string& table : split_list(place.value))
      if (is_our_map(table, "tls") && the.facts.live_answers.contains(table)) maps.push_back(table);
    if (maps.empty()) continue;
    Disagreement seen;
    for (const ForcedRow& row : the.forced) judge(the, maps, row, seen);
    report(the, place, maps, seen, found);
  }
}

}  // namespace forcetls::doctor
