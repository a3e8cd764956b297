#include "shared/mta/sendmail_ruleset.h"

#include <algorithm>
#include <string>
#include <utility>

#include "shared/mta/forcetls_m4.h"

namespace forcetls {
namespace {

/// m4's part of it means nothing to the parser; only the marks of the rules have to become what m4
/// makes of them.
SendmailConfig parse_shipped() {
  constexpr std::pair<std::string_view, std::string_view> kMarks[] = {
      {"\nLOCAL_TLS_RCPT\n", kLocalRuleset}, {"\nLOCAL_TLS_SERVER\n", kLocalServerRuleset}};
  std::string text(kForcetlsM4);
  for (const auto& [mark, ruleset] : kMarks)
    if (const auto at = text.find(mark); at != text.npos)
      text.replace(at, mark.size(), "\nS" + std::string(ruleset) + "\n");
  return SendmailConfig::parse(text);
}

/// Without this nobody asks for what LOCAL_TLS_RCPT has (sendmail: proto.m4).
bool calls_local_rules(const SendmailConfig& config) {
  const auto rules = config.ruleset(kCallingRuleset);
  return rules.size() >= 2 && rules[0] == SendmailRule{"$*", "$: $1 $| $>\"Local_tls_rcpt\" $1"} &&
         rules[1] == SendmailRule{"$* $| $#$*", "$#$2"};
}

bool has_rules_for_bounces(const SendmailConfig& config) {
  const auto ours = shipped_ruleset().ruleset(kLocalServerRuleset);
  const auto theirs = config.ruleset(kLocalServerRuleset);
  return std::search(theirs.begin(), theirs.end(), ours.begin(), ours.end()) != theirs.end();
}

bool has_our_classes(const SendmailConfig& config) {
  for (const char* name : {"ForcetlsSession", "ForcetlsValid", "ForcetlsVersion"})
    if (config.class_members(name) != shipped_ruleset().class_members(name)) return false;
  const SendmailMap* arith = config.map("forcetls_arith");
  return arith != nullptr && arith->type == "arith";
}

}  // namespace

std::string_view shipped_snippet() { return kForcetlsM4; }

const SendmailConfig& shipped_ruleset() {
  static const SendmailConfig shipped = parse_shipped();
  return shipped;
}

RulesetState ruleset_state(const SendmailConfig& config) {
  const auto ours = shipped_ruleset().ruleset(kLocalRuleset);
  const auto theirs = config.ruleset(kLocalRuleset);
  const bool any = std::any_of(theirs.begin(), theirs.end(), [&](const SendmailRule& rule) {
    return std::find(ours.begin(), ours.end(), rule) != ours.end();
  });
  if (!any || !calls_local_rules(config)) return RulesetState::Missing;
  const auto at = std::search(theirs.begin(), theirs.end(), ours.begin(), ours.end());
  if (at == theirs.end() || !has_our_classes(config) || !has_rules_for_bounces(config))
    return RulesetState::Changed;
  return at == theirs.begin() ? RulesetState::Ours : RulesetState::Preceded;
}

}  // namespace forcetls
