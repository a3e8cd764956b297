#include "shared/mta/sendmail_ruleset.h"

#include <algorithm>
#include <string>

#include "shared/mta/forcetls_m4.h"

namespace forcetls {
namespace {

/// m4's part of it means nothing to the parser; only the mark of the rules has to become what m4
/// makes of it.
SendmailConfig parse_shipped() {
  constexpr std::string_view kMark = "\nLOCAL_TLS_RCPT\n";
  std::string text(kForcetlsM4);
  const auto at = text.find(kMark);
  if (at != text.npos) text.replace(at, kMark.size(), "\nS" + std::string(kLocalRuleset) + "\n");
  return SendmailConfig::parse(text);
}

/// Without this nobody asks for what LOCAL_TLS_RCPT has (sendmail: proto.m4).
bool calls_local_rules(const SendmailConfig& config) {
  const auto rules = config.ruleset(kCallingRuleset);
  return rules.size() >= 2 && rules[0] == SendmailRule{"$*", "$: $1 $| $>\"Local_tls_rcpt\" $1"} &&
         rules[1] == SendmailRule{"$* $| $#$*", "$#$2"};
}

bool judges_as_shipped(const SendmailConfig& config) {
  return config.ruleset(kJudgingRuleset) == shipped_ruleset().ruleset(kJudgingRuleset);
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
  if (at == theirs.end() || !judges_as_shipped(config) || !has_our_classes(config))
    return RulesetState::Changed;
  return at == theirs.begin() ? RulesetState::Ours : RulesetState::Preceded;
}

}  // namespace forcetls
