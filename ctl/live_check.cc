#include "ctl/live_check.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "ctl/socket_probe.h"
#include "shared/base/milter_hello.h"

namespace forcetls {
namespace {

constexpr std::string_view kProbeName = "forcetls-setup.invalid";

/// One of our sockets: what is sent to it, and how an answer ends.
struct Question {
  const char* socket;   ///< below the queue directory
  const char* program;  ///< that listens on it
  const char* setting;  ///< of forcetls.conf
  const char* unit;     ///< of the package
  std::string request;
  std::string_view end;  ///< of an answer
  std::size_t size = 0;  ///< of an answer without an end
};

std::array<Question, 3> questions() {
  const std::string lookup = fmt::format("tls {}", kProbeName);
  return {{{"forcetls/map.sock", "forcetls-policyd", "listen_map", "forcetls-map.socket",
            fmt::format("{}:{},", lookup.size(), lookup), ","},
           {"forcetls/policy.sock", "forcetls-policyd", "listen_policy", "forcetls-policy.socket",
            fmt::format("request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=SMTP\n"
                        "client_address=127.0.0.1\nsender=\nrecipient=postmaster@{}\n\n",
                        kProbeName),
            "\n\n"},
           {"forcetls/milter.sock",
            "forcetls-milter",
            "listen_milter",
            "forcetls-milter.socket",
            std::string(kMilterOffer) + std::string(kMilterQuit),
            {},
            kMilterAnswerSize}}};
}

/// Why a socket cannot be reached, and what to do.
std::string cannot_connect(const Question& question, int reason, const std::string& queue) {
  const std::string path = queue + "/" + question.socket;
  if (reason == ECONNREFUSED)
    return fmt::format("nobody listens on {}: start {}; under systemd: systemctl restart {}", path,
                       question.program, question.unit);
  if (reason == ENOENT)
    return fmt::format(
        "{} is not there: start {}; under systemd: systemctl restart {}. For another Postfix "
        "instance than the host's own, whose queue directory needs sockets of its own: {} = "
        "unix:{}, or ListenStream={} in that unit",
        path, question.program, question.unit, question.setting, path, path);
  if (reason == ETIMEDOUT)
    return fmt::format("{} takes too long to answer on {}: see its log", question.program, path);
  if (reason == EACCES)
    return fmt::format(
        "Postfix may not connect to {}: the socket needs group postfix and mode 0660, and its "
        "directory 2750 (chown forcetls:postfix, chmod 2750)",
        path);
  return fmt::format("{}: {}", path, std::strerror(reason));
}

bool is_whole(const Question& question, std::string_view answer) {
  return question.end.empty() ? is_milter_answer(answer) : answer.ends_with(question.end);
}

/// Empty if the answer is one; else what is wrong with it.
std::string fault_of(const Question& question, std::string_view answer) {
  if (question.end.empty() || answer.starts_with("action=")) return {};
  const auto colon = answer.find(':');
  const std::string_view reply = answer.substr(colon == answer.npos ? 0 : colon + 1);
  if (reply.starts_with("OK ") || reply.starts_with("NOTFOUND ")) return {};
  return fmt::format("{} answers '{}': see its log", question.program,
                     reply.substr(0, reply.find_last_not_of(",\n") + 1));
}

/// Empty if it is answered; else why not, and what to do.
Result<std::string> trouble_with(const Question& question, const std::string& queue,
                                 const std::string& user) {
  const auto answer = ask_socket({.queue_directory = queue,
                                  .user = user,
                                  .address = std::string("unix:") + question.socket,
                                  .chrooted = true,
                                  .request = question.request,
                                  .end = question.end,
                                  .size = question.size});
  if (!answer) return fail(answer.error());
  if (answer->failure != 0) return cannot_connect(question, answer->failure, queue);
  if (is_whole(question, answer->reply)) return fault_of(question, answer->reply);
  return fmt::format("{} does not answer on {}/{}: see its log", question.program, queue,
                     question.socket);
}

}  // namespace

Result<void> check_live(const std::string& queue_directory, const std::string& user) {
  for (const Question& question : questions()) {
    const auto trouble = trouble_with(question, queue_directory, user);
    if (!trouble) return fail(trouble.error());
    if (!trouble->empty()) return fail(ErrorCode::Unavailable, *trouble);
  }
  return {};
}

}  // namespace forcetls
