#include "milter/reply.h"

#include <string_view>

namespace forcetls {
namespace {

/// A reply line has at most 512 octets with its CRLF (RFC 5321 s4.5.3.1.5); libmilter takes 980.
constexpr std::size_t kLongestReply = 510;

std::string with_percents_doubled(std::string_view text) {
  std::string doubled;
  for (const char c : text) doubled.append(c == '%' ? 2 : 1, c);
  return doubled;
}

/// "451 4.7.4 text", as smtp_reply() writes it, in its three parts.
Reply split(sfsistat status, std::string_view line) {
  line = line.substr(0, kLongestReply);
  const auto code_end = line.find(' ');
  const auto enhanced_end = line.find(' ', code_end + 1);
  return {status, std::string(line.substr(0, code_end)),
          std::string(line.substr(code_end + 1, enhanced_end - code_end - 1)),
          with_percents_doubled(line.substr(enhanced_end + 1))};
}

}  // namespace

Reply to_reply(const Verdict& verdict) {
  switch (verdict.action) {
    case Action::NoOpinion:
      return {};
    case Action::Defer:
      return split(SMFIS_TEMPFAIL, smtp_reply(verdict));
    case Action::Reject:
      return split(SMFIS_REJECT, smtp_reply(verdict));
  }
  return {.status = SMFIS_TEMPFAIL};
}

sfsistat answer(SMFICTX* context, const Verdict& verdict) {
  Reply reply = to_reply(verdict);
  // If libmilter refuses the text, the MTA says the same in its own words.
  if (!reply.code.empty())
    ::smfi_setreply(context, reply.code.data(), reply.enhanced.data(), reply.text.data());
  return reply.status;
}

}  // namespace forcetls
