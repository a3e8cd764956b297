// A verdict in libmilter's words.
#pragma once

#include <libmilter/mfapi.h>

#include <string>

#include "shared/core/verdict.h"

namespace forcetls {

/// What a callback returns, and the reply to set before (empty where the MTA's own will do).
struct Reply {
  sfsistat status = SMFIS_CONTINUE;
  std::string code{};      ///< "451"
  std::string enhanced{};  ///< "4.7.4"
  std::string text{};      ///< '%' doubled, since the MTA takes it for a format string
};

/// Never SMFIS_ACCEPT: at RCPT it would end the filtering of the whole message.
Reply to_reply(const Verdict& verdict);

/// Hands the reply over to the MTA; to be returned from the callback.
sfsistat answer(SMFICTX* context, const Verdict& verdict);

}  // namespace forcetls
