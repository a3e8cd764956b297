// What `forcetls check` found out, as a value, and its two forms for people and for scripts. Pure.
#pragma once

#include <optional>
#include <string>

#include "shared/base/result.h"
#include "shared/core/requirement.h"
#include "shared/core/rule_store.h"

namespace forcetls {

/// The reasoning on one domain, address or next hop. Owns its texts.
struct Report {
  std::string asked;                    ///< as the administrator typed it
  std::string key;                      ///< what Postfix would look up; empty: not convertible
  std::optional<std::string> row;       ///< key of the row that decides
  std::optional<Level> written;         ///< that row's outbound level
  std::optional<Level> cap;             ///< a suspension in force on it
  std::optional<std::string> test_row;  ///< a row in mode test that would have decided
  std::optional<Level> test_level;
  std::optional<Level> level;  ///< what is in force; nothing: Postfix's own level
  std::string map;             ///< the map that answers: "tls", "default"; empty: none
  std::string postfix;         ///< the answer: "secure match=... ciphers=high"
  std::string sendmail;        ///< the answer of map sendmail; empty: it is never asked for this
  bool forced = false;         ///< mail leaves over TLS or waits
  InboundLevel inbound = InboundLevel::May;
  OnFailure on_failure = OnFailure::Tempfail;
};

/// Errors: Unconvertible where Postfix is told TEMP for it, so that mail waits; Malformed for an
/// address without domain.
Result<Report> make_report(const RuleStore& store, const std::string& asked, TimePoint now);

/// Some lines for a person, with a newline at the end.
std::string in_words(const Report& report);

/// One JSON object; a member that does not apply is null.
std::string in_json(const Report& report);

}  // namespace forcetls
