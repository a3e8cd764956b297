// What packaging/sendmail/forcetls.m4 puts into sendmail.cf: the text is built in, so that a
// configuration can be compared with it. Pure.
#pragma once

#include <string_view>

#include "shared/mta/sendmail_config.h"

namespace forcetls {

/// The name of the map line that forcetls.m4 writes, by which its rules ask.
constexpr std::string_view kSendmailMap = "sendmail";
/// Where LOCAL_TLS_RCPT puts rules, and the ruleset that calls it for each recipient.
constexpr std::string_view kLocalRuleset = "Local_tls_rcpt";
constexpr std::string_view kCallingRuleset = "tls_rcpt";
/// What those rules call, all of it ours.
constexpr std::string_view kJudgingRuleset = "Forcetls_tls_rcpt";

/// packaging/sendmail/forcetls.m4, whole.
std::string_view shipped_snippet();

/// The map, the classes and the rules of both rulesets.
const SendmailConfig& shipped_ruleset();

/// How a sendmail.cf stands to what is shipped.
enum class RulesetState {
  Ours,      ///< exactly; further rules of the site may follow
  Preceded,  ///< all of it, behind rules of the site that may let mail go before ours are reached
  Changed,   ///< some rules of ours are missing or different, or a class is
  Missing,   ///< none of it, or tls_rcpt does not call it
};
RulesetState ruleset_state(const SendmailConfig& config);

}  // namespace forcetls
