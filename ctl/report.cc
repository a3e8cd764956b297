#include "ctl/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "shared/mta/postfix_policy.h"
#include "shared/mta/sendmail_domain.h"
#include "shared/mta/sendmail_policy.h"

namespace forcetls {
namespace {

/// Blanks and control characters: policyd finds no row for such a name, but whoever asks for it
/// here means another.
bool has_what_no_name_has(std::string_view name) {
  return std::any_of(name.begin(), name.end(),
                     [](unsigned char c) { return c <= ' ' || c == 0x7f; });
}

Result<NextHopKey> key_asked_for(const std::string& asked) {
  const bool is_address = asked.find('@') != asked.npos;
  auto key = is_address ? domain_of_address(asked) : NextHopKey::parse(asked);
  if (key && is_address && key->text.empty())
    return fail(ErrorCode::Malformed, "address '" + asked + "' has no domain");
  if (key && has_what_no_name_has(key->text))
    return fail(ErrorCode::Malformed, "'" + asked + "' is no domain, address or next hop");
  return key;
}

/// As policyd answers it: no key, but no demand either while nothing at all is demanded.
bool needs_no_key(const Error& error, const RuleStore& store) {
  return error.code == ErrorCode::Unconvertible && demands_nothing(store);
}

void take_rule(Report& report, const Finding& finding) {
  const Rule& rule = *finding.rule;
  report.row = rule.key;
  report.written = rule.outbound.level;
  report.cap = finding.cap;
  report.inbound = inbound_requirement(rule, finding.cap).level;
  report.on_failure = rule.on_failure;
}

std::string_view meaning(Level level) {
  switch (level) {
    case Level::None:
      return "leaves in clear";
    case Level::May:
      return "leaves over TLS if the partner offers it, otherwise in clear";
    case Level::Encrypt:
      return "leaves over TLS with any certificate, or waits";
    case Level::Dane:
      return "is verified where the partner publishes TLSA records; otherwise it may leave in "
             "clear";
    case Level::DaneOnly:
      return "leaves over TLS verified by the partner's TLSA records, or waits";
    case Level::Fingerprint:
      return "leaves over TLS to a server with one of the listed digests, or waits";
    case Level::Verify:
      return "leaves over TLS to a server whose certificate is valid and matches its name in DNS, "
             "or waits";
    case Level::Secure:
      return "leaves over TLS to a server whose certificate is valid and matches the agreed names, "
             "or waits";
  }
  return "waits";
}

std::string_view meaning(InboundLevel level) {
  switch (level) {
    case InboundLevel::May:
      return "may arrive in clear";
    case InboundLevel::Encrypt:
      return "must arrive over TLS";
    case InboundLevel::Verify:
      return "must arrive over TLS with an agreed client certificate";
  }
  return "must arrive over TLS";
}

std::string row_in_words(const Report& report) {
  if (!report.row) return "none";
  std::string text = fmt::format("{} (outbound = {})", *report.row, to_text(*report.written));
  if (report.cap) text += fmt::format(", suspended to {}", to_text(*report.cap));
  return text;
}

template <class Value>
nlohmann::ordered_json text_or_null(const std::optional<Value>& value) {
  if (!value) return nullptr;
  return std::string(to_text(*value));
}

nlohmann::ordered_json string_or_null(const std::optional<std::string>& value) {
  if (!value) return nullptr;
  return *value;
}

}  // namespace

Result<Report> make_report(const RuleStore& store, const std::string& asked, TimePoint now) {
  Report report;
  report.asked = asked;
  const auto key = key_asked_for(asked);
  if (!key && !needs_no_key(key.error(), store)) return fail(key.error());
  if (!key) {
    append_sendmail_answer(report.sendmail, std::nullopt);
    return report;
  }
  report.key = key->text;
  const Finding finding = find_policy(store, *key, now);
  if (finding.tested) {
    report.test_row = finding.tested->key;
    report.test_level = finding.tested->outbound.level;
  }
  if (finding.rule) take_rule(report, finding);
  const auto requirement = effective_requirement(store, *key, now);
  if (requirement) {
    report.level = requirement->level;
    report.map = finding.rule ? "tls" : "default";
    report.postfix = to_postfix_policy(*requirement);
  }
  if (is_recipient_domain(*key)) report.sendmail = sendmail_answer(store, *key, now);
  report.forced = report.level && is_forced(*report.level);
  return report;
}

std::string in_words(const Report& report) {
  std::string text = fmt::format("{}\n", report.asked);
  const auto line = [&text](std::string_view name, std::string_view value) {
    text += fmt::format("  {:<15}{}\n", name, value);
  };
  line("key", report.key.empty() ? "none: the name cannot be converted to A-labels" : report.key);
  line("row", row_in_words(report));
  if (report.test_row)
    line("in test", fmt::format("{} (outbound = {}) does not count yet", *report.test_row,
                                to_text(*report.test_level)));
  line("Postfix gets", report.level
                           ? fmt::format("{} (map {})", report.postfix, report.map)
                           : "no answer: a table of your own, else smtp_tls_security_level");
  if (!report.sendmail.empty()) line("Sendmail gets", report.sendmail);
  line("mail to it", report.level ? meaning(*report.level) : "is not forced");
  line("mail from it", meaning(report.inbound));
  return text;
}

std::string in_json(const Report& report) {
  nlohmann::ordered_json json;
  json["asked"] = report.asked;
  json["key"] = report.key;
  json["row"] = string_or_null(report.row);
  json["outbound"] = text_or_null(report.written);
  json["suspended_to"] = text_or_null(report.cap);
  json["level"] = text_or_null(report.level);
  json["forced"] = report.forced;
  json["map"] = report.level ? nlohmann::ordered_json(report.map) : nullptr;
  json["postfix"] = report.level ? nlohmann::ordered_json(report.postfix) : nullptr;
  json["sendmail"] = report.sendmail.empty() ? nullptr : nlohmann::ordered_json(report.sendmail);
  json["inbound"] = std::string(to_text(report.inbound));
  json["on_failure"] = std::string(to_text(report.on_failure));
  json["test_row"] = string_or_null(report.test_row);
  json["test_outbound"] = text_or_null(report.test_level);
  // What was typed may be any bytes: replace what is no UTF-8 rather than fail.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace forcetls
