// Any bytes from a policy delegation client: a request within them, or an error; and a reply of
// one action that is never a waiver.
#include <cstddef>
#include <cstdint>
#include <string>

#include "policyd/delegation.h"
#include "tests/fuzz/require.h"
#include "tests/unit/fakes/rule_store.h"

namespace {

using namespace forcetls;

const FakeRuleStore& store() {
  static const FakeRuleStore rules{{.key = "bank.example",
                                    .outbound = Level::Secure,
                                    .inbound = InboundLevel::Verify,
                                    .inbound_match = "mx.bank.example|AB:CD",
                                    .min_bits = 128,
                                    .on_failure = OnFailure::Reject},
                                   {.key = ".bank.example", .inbound = InboundLevel::Encrypt}};
  return rules;
}

void check_reply(const RuleStore* rules, const PolicyRequest& request) {
  std::string reply;
  append_policy_reply(reply, judge_request(rules, request, at(0)));
  require(reply.starts_with("action=DUNNO\n\n") || reply.starts_with("action=451 4.7.") ||
          reply.starts_with("action=550 5.7."));
  require(reply.ends_with("\n\n"));
  require(is_printable_ascii(std::string_view(reply).substr(0, reply.size() - 2)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  const auto request = parse_policy_request(input);
  if (!request) {
    const ErrorCode code = request.error().code;
    require(code == ErrorCode::Incomplete || code == ErrorCode::TooLong ||
            code == ErrorCode::Malformed);
    require(code != ErrorCode::Incomplete || size <= kMaxPolicyRequestBytes);
    return 0;
  }
  require(request->wire_bytes > 0 && request->wire_bytes <= size);
  require(input.substr(0, request->wire_bytes).ends_with("\n"));
  check_reply(&store(), *request);
  check_reply(nullptr, *request);
  // Nothing behind the request has a say in it.
  const auto alone = parse_policy_request(input.substr(0, request->wire_bytes));
  require(alone && alone->recipient == request->recipient && alone->sender == request->sender);
  return 0;
}
