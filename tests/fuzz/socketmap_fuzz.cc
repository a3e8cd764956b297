// Any bytes from a socketmap client: a request within them, or an error; and an answer that no MTA
// can take for "no policy" when there is one.
#include <cstddef>
#include <cstdint>
#include <string>

#include "policyd/answer.h"
#include "policyd/socketmap.h"
#include "tests/fuzz/require.h"
#include "tests/unit/fakes/rule_store.h"

namespace {

using namespace forcetls;

constexpr std::size_t kPostfixReplyLimit = 100'000;  // postfix: socketmap_table(5)

const FakeRuleStore& store() {
  static const FakeRuleStore rules{
      {.key = "bank.example", .outbound = Level::Secure, .match = "mx.bank.example"},
      {.key = ".bank.example"},
      {.key = "[bank.example]:25", .outbound = Level::Fingerprint, .match = "AB|CD"}};
  return rules;
}

void check_answer(const RuleStore* rules, const MapRequest& request) {
  std::string reply;
  answer_map(rules, request, at(0), reply);
  require(is_printable_ascii(reply));
  require(reply.size() < kPostfixReplyLimit);
  const bool decided = reply.starts_with("OK ") && reply.size() > 3 && reply[3] != ' ';
  const bool none = reply == "NOTFOUND " && rules != nullptr;
  require(decided || none || reply.starts_with("TEMP "));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(bytes), size);
  const auto request = parse_map_request(input);
  if (!request) {
    const ErrorCode code = request.error().code;
    require(code == ErrorCode::Incomplete || code == ErrorCode::TooLong ||
            code == ErrorCode::Malformed);
    // Who sends without end must be told so at some point.
    require(code != ErrorCode::Incomplete || size < kMaxMapRequestBytes + 16);
    return 0;
  }
  require(request->wire_bytes > 0 && request->wire_bytes <= size);
  require(request->map.data() >= input.data() &&
          request->key.data() + request->key.size() < input.data() + request->wire_bytes);
  check_answer(&store(), *request);
  check_answer(nullptr, *request);

  std::string again;
  append_netstring(again, std::string(request->map) + " " + std::string(request->key));
  const auto same = parse_map_request(again);
  require(same && same->map == request->map && same->key == request->key);
  require(same->wire_bytes == again.size());
  return 0;
}
