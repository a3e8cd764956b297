// What an MTA says to a milter first, and what a milter says to that (SMFIC_OPTNEG of
// libmilter/mfdef.h): how one finds out that a milter is alive.
#pragma once

#include <cstddef>
#include <string_view>

namespace forcetls {

/// Length, command, version 6, all actions, all steps.
constexpr std::string_view kMilterOffer{"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff", 17};
/// Ends the connection.
constexpr std::string_view kMilterQuit{"\0\0\0\x01Q", 5};
/// The answer to the offer is as long: mfdef.h's MILTER_OPTLEN and the header.
constexpr std::size_t kMilterAnswerSize = 17;

/// True if all of an answer came, and it is one to the offer.
constexpr bool is_milter_answer(std::string_view answer) {
  constexpr std::size_t kCommandAt = 4;
  return answer.size() >= kMilterAnswerSize && answer[kCommandAt] == 'O';
}

}  // namespace forcetls
