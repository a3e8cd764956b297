// Any bytes as a lookup key or an address: a key in ASCII, or an error that says Unconvertible.
#include <cstddef>
#include <cstdint>

#include "shared/core/requirement.h"
#include "shared/core/verdict.h"
#include "tests/fuzz/require.h"
#include "tests/unit/fakes/rule_store.h"

namespace {

using namespace forcetls;

const FakeRuleStore& store() {
  static const FakeRuleStore rules{{.key = "bank.example", .outbound = Level::Secure},
                                   {.key = ".bank.example"},
                                   {.key = "[bank.example]:25"}};
  return rules;
}

void check(const Result<NextHopKey>& key) {
  if (!key) {
    require(key.error().code == ErrorCode::Unconvertible);
    return;
  }
  if (key->kind != KeyKind::LocalPath)
    for (const char c : key->text) require(static_cast<unsigned char>(c) < 0x80);
  for (const char c : key->text) require(key->kind == KeyKind::LocalPath || c < 'A' || c > 'Z');
  const Finding finding = find_policy(store(), *key, at(0));
  require(!finding.rule || key->kind != KeyKind::LocalPath);
  is_loopback(*key);
  require(is_printable_ascii(smtp_reply(judge_submission(store(), *key, {}, at(0)))));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  check(NextHopKey::parse(text));
  check(domain_of_address(text));
  require(is_printable_ascii(smtp_reply(name_unknown(text))));
  if (const auto network = Network::parse(text)) network->contains(text);
  judge_route(store(), NextHopKey::parse("bank.example").value(), {"smtp", text}, at(0));
  return 0;
}
