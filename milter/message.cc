#include "milter/message.h"

#include <fmt/format.h>

#include <algorithm>

#include "shared/base/log.h"

namespace forcetls {
namespace {

/// A reply as the value of a quoted field.
std::string quotable(std::string reply) {
  std::replace(reply.begin(), reply.end(), '"', '\'');
  return reply;
}

std::string start(const Message& message) {
  return message.queue_id.empty() ? "NOQUEUE" : log_word(message.queue_id);
}

std::string session_fields(const Message& message) {
  return fmt::format("from={} client={} tls={} bits={}", log_word(message.sender_domain),
                     message.local ? "local" : log_word(message.client),
                     message.tls.version.empty() ? "none" : log_word(message.tls.version),
                     message.tls.cipher_bits);
}

std::string would_field(const Message& message) {
  if (!message.would) return {};
  const ReasonText reason = describe(*message.would);
  return fmt::format(" would={}:{} test_rule={}", to_text(message.would->action), reason.word,
                     log_word(message.would->subject));
}

std::string closing_line(const Message& message, std::string_view verdict, const Verdict& cause) {
  return fmt::format(
      "{}: message: {} recipients={} forced={} deferred={} rejected={} verdict={} reason={}{}",
      start(message), session_fields(message), message.recipients, message.forced, message.deferred,
      message.rejected, verdict, describe(cause).word, would_field(message));
}

}  // namespace

std::string refusal_line(const Message& message, Refused what, std::string_view domain,
                         const Verdict& verdict) {
  const std::string subject = what == Refused::Sender
                                  ? std::string("sender:")
                                  : fmt::format("recipient: to={}", log_word(domain));
  return fmt::format("{}: refused {} {} verdict={} reason={} reply=\"{}\"", start(message), subject,
                     session_fields(message), to_text(verdict.action), describe(verdict).word,
                     quotable(smtp_reply(verdict)));
}

std::string message_line(const Message& message, const Verdict& verdict) {
  const bool refused = verdict.action != Action::NoOpinion;
  return closing_line(message, to_text(verdict.action), refused ? verdict : message.noted);
}

std::string aborted_line(const Message& message) {
  return closing_line(message, "aborted", message.noted);
}

}  // namespace forcetls
