// One SMTP session as the filter sees it: takes what the MTA tells at each step and says what
// becomes of it. Knows nothing of libmilter; decides nothing by itself (shared/core/verdict.h).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "milter/macros.h"
#include "milter/message.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/core/rule_store.h"
#include "shared/core/verdict.h"

namespace forcetls {

/// What all sessions share. Any thread.
struct Surroundings {
  /// The policy in force; null if none could be read since the start.
  std::function<std::shared_ptr<const RuleStore>()> current_policy;
  Clock& clock;
  Log log;
  std::atomic<bool> told_missing_route{false};  ///< that the MTA sends no {rcpt_mailer}
};

/// Used by one thread at a time. Every step may come again or not at all: HELO twice, several
/// messages, MAIL after a refused MAIL, an abort at any time.
class Session {
 public:
  /// `client_address` as text; empty if the MTA did not give one with the connection.
  /// `surroundings` must outlive the session.
  Session(Surroundings& surroundings, std::string client_address);

  /// MAIL: the inbound rule of the sender's domain. `sender` as typed, with or without <>.
  Verdict mail(std::string_view sender, const Macros& macros);
  /// RCPT: clear submission and route. The verdict is for this recipient alone.
  Verdict recipient(std::string_view recipient, const Macros& macros);
  /// A header of the message. Remembers the one that matters.
  void header(std::string_view name, std::string_view value) noexcept;
  /// The verdict is for the whole message.
  Verdict end_of_message(const Macros& macros);
  /// The message will not come to its end. Does nothing between messages.
  void abort();

 private:
  struct Recipient;
  void learn(const Macros& macros);
  SessionFacts facts() const;
  Recipient read_recipient(const RuleStore* policy, std::string_view typed, const Macros& macros,
                           TimePoint now);
  Verdict judge_mail(const RuleStore& policy, TimePoint now);
  Verdict judge(const RuleStore* policy, const Recipient& recipient, TimePoint now);
  Verdict judge_domain(const RuleStore& policy, const Recipient& recipient, TimePoint now);
  void prepare_header_verdict(const RuleStore* policy, const Recipient& recipient,
                              const Macros& macros, TimePoint now);
  void note(const Verdict& verdict);
  void note_would(const Verdict& verdict);
  void tell_missing_route();
  void log_refusal(Refused what, std::string_view domain, const Verdict& verdict);

  Surroundings& surroundings_;
  const std::string client_address_;
  Message message_;
  Result<NextHopKey> sender_;
  bool sender_judged_ = false;
  Verdict sender_verdict_;
};

}  // namespace forcetls
