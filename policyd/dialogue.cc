#include "policyd/dialogue.h"

#include "policyd/answer.h"
#include "policyd/delegation.h"
#include "policyd/socketmap.h"

namespace forcetls {
namespace {

constexpr std::chrono::seconds kTempLineInterval{5};

/// An unfinished request is no failure of the connection: it took nothing yet.
Result<std::size_t> unfinished_or(const Error& error) {
  if (error.code == ErrorCode::Incomplete) return std::size_t{0};
  return fail(error);
}

/// Mail waits for every TEMP, so somebody must be told; but not of each of thousands.
void tell_temp(Context& context, const MapRequest& request, std::string_view reply) {
  const auto now = std::chrono::steady_clock::now();
  if (now < context.next_temp_line) return;
  context.next_temp_line = now + kTempLineInterval;
  context.log.warning("map={} key={}: answered \"{}\", so this mail waits", log_word(request.map),
                      log_word(request.key), reply);
}

Result<std::size_t> answer_map_request(Context& context, std::string_view bytes, std::string& out) {
  const auto request = parse_map_request(bytes);
  if (!request) return unfinished_or(request.error());
  std::string& reply = context.reply;
  const TestedRow tested = answer_map(context.policy.now(), *request, context.clock.now(), reply);
  if (context.log.wants(LogLevel::Debug))
    context.log.debug("map={} key={} reply={}", request->map, request->key, reply);
  if (reply.starts_with("TEMP")) tell_temp(context, *request, reply);
  if (!tested.key.empty())
    context.log.info("map={} key={}: row {} is in mode test: enforced it would demand {}",
                     log_word(request->map), log_word(request->key), tested.key,
                     to_text(tested.level));
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
                     request->queue_id.empty() ? "NOQUEUE" : log_word(request->queue_id),
                     log_word(request->client_address), to_text(verdict.action), reason.word,
                     log_word(verdict.subject), reason.text);
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
