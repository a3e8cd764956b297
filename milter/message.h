// One message while it is being received, and the log lines about it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/core/verdict.h"

namespace forcetls {

/// The session's TLS as the MTA tells it.
struct InboundTls {
  std::string version{};  ///< "TLSv1.3"; empty: in clear
  int cipher_bits = 0;
  std::string certificate_name{};  ///< of a trusted client certificate
};

/// From MAIL to end of message or abort. Its size does not grow with the number of recipients.
struct Message {
  bool open = false;   ///< MAIL was accepted
  bool local = false;  ///< did not come by SMTP
  std::string client{};
  std::string queue_id{};  ///< empty until the MTA tells it
  std::string sender_domain{};
  InboundTls tls{};
  std::uint64_t recipients = 0;
  std::uint64_t forced = 0;
  std::uint64_t deferred = 0;
  std::uint64_t rejected = 0;
  bool has_tls_required_no = false;
  std::optional<Verdict> if_tls_required_no{};  ///< due if the header is there
  Verdict noted{};                 ///< the first refusal, else that a client is trusted
  std::optional<Verdict> would{};  ///< the first objection of a row in mode `test`
};

/// What is refused, for a log line.
enum class Refused { Sender, Recipient };

/// "NOQUEUE: refused recipient: to=bank.example from=... verdict=defer reason=... reply="...""
/// Domains only, never a local part. `domain` is that of the address in question.
std::string refusal_line(const Message& message, Refused what, std::string_view domain,
                         const Verdict& verdict);

/// The one line of a message that reached its end. `verdict` is that of the end of message.
std::string message_line(const Message& message, const Verdict& verdict);

/// The line of one that was given up before its end.
std::string aborted_line(const Message& message);

}  // namespace forcetls
