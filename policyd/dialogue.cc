#include "policyd/dialogue.h"

#include "policyd/answer.h"
#include "policyd/delegation.h"
#include "policyd/socketmap.h"

namespace forcetls {
namespace {

/// An unfinished request is no failure of the connection: it took nothing yet.
Result<std::size_t> unfinished_or(const Error& error) {
  if (error.code == ErrorCode::Incomplete) return std::size_t{0};
  return fail(error);
}

Result<std::size_t> answer_map_request(Context& context, std::string_view bytes, std::string& out) {
  const auto request = parse_map_request(bytes);
  if (!request) return unfinished_or(request.error());
  std::string& reply = context.reply;
  answer_map(context.policy.now(), *request, context.clock.now(), reply);
  if (context.log.wants(LogLevel::Debug))
    context.log.debug("map={} key={} reply={}", request->map, request->key, reply);
  append_netstring(out, reply);
  return request->wire_bytes;
}

Result<std::size_t> answer_policy_request(Context& context, std::string_view bytes,
                                          std::string& out) {
  const auto request = parse_policy_request(bytes);
  if (!request) return unfinished_or(request.error());
  const Verdict verdict = judge_request(context.policy.now(), *request, context.clock.now());
  if (verdict.action != Action::NoOpinion) {
    const ReasonText reason = describe(verdict);
    context.log.info("{}: policy: client={} verdict={} reason={} domain={} text=\"{}\"",
                     request->queue_id.empty() ? "NOQUEUE" : request->queue_id,
                     request->client_address,
                     verdict.action == Action::Reject ? "reject" : "tempfail", reason.word,
                     verdict.subject, reason.text);
  }
  append_policy_reply(out, verdict);
  return request->wire_bytes;
}

}  // namespace

std::string_view to_text(Service service) { return service == Service::Map ? "map" : "policy"; }

std::size_t request_limit(Service service) {
  return service == Service::Map ? kMaxMapRequestBytes + 8 : kMaxPolicyRequestBytes + 2;
}

Result<std::size_t> answer_one(Service service, Context& context, std::string_view bytes,
                               std::string& out) {
  return service == Service::Map ? answer_map_request(context, bytes, out)
                                 : answer_policy_request(context, bytes, out);
}

}  // namespace forcetls
