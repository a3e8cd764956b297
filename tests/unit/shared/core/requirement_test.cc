// Which row decides, and what it then demands.
#include "shared/core/requirement.h"

#include <string>
#include <string_view>

#include "tests/unit/catch.h"
#include "tests/unit/fakes/rule_store.h"
#include "tests/unit/shared/core/keys_and_levels.h"

namespace forcetls {
namespace {

/// The key of the row that decides for `text`, or "-".
std::string row_for(const RuleStore& store, std::string_view text) {
  const Finding finding = find_policy(store, key(text), at(0));
  return finding.rule ? std::string(finding.rule->key) : "-";
}

std::string repeated(int count, std::string_view piece) {
  std::string text;
  while (count-- > 0) text += piece;
  return text;
}

struct Lookup {
  const char* what;
  std::string_view asked;
  std::string_view want;
};

/// Breaks its contract: hands out rows in mode off too.
class CarelessRuleStore final : public FakeRuleStore {
 public:
  using FakeRuleStore::FakeRuleStore;
  std::optional<Rule> find_rule(std::string_view asked) const override {
    for (const FakeRule& rule : rules_)
      if (rule.key == asked) return as_rule(rule);
    return std::nullopt;
  }
};

}  // namespace

TEST_CASE("find_policy: a name's own row decides, then .parent rows from the nearest upwards",
          "[core][requirement]") {
  const FakeRuleStore store{{.key = "bank.example"},
                            {.key = ".bank.example"},
                            {.key = ".eu.bank.example"},
                            {.key = "mx.eu.bank.example"},
                            {.key = ".gov.example"},
                            {.key = "school.example"},
                            {.key = ".test"}};
  const Lookup rows[] = {
      {"own row", "bank.example", "bank.example"},
      {"own row, in capitals and with a dot", "BANK.example.", "bank.example"},
      {"own row before every parent", "mx.eu.bank.example", "mx.eu.bank.example"},
      {"nearest parent", "a.eu.bank.example", ".eu.bank.example"},
      {"nearest parent, two labels up", "b.a.eu.bank.example", ".eu.bank.example"},
      {"eu itself is under the farther parent", "eu.bank.example", ".bank.example"},
      {"ideographic full stops separate labels too", "x\u3002bank\u3002example", ".bank.example"},
      {"Postfix asks for the parent itself", ".bank.example", ".bank.example"},
      {"a parent key has parents as well", ".us.bank.example", ".bank.example"},
      {"top-level parent", "anything.test", ".test"},
      {"a parent row is not for the domain itself", "gov.example", "-"},
      {"a domain's row is not for its sub-domains", "a.school.example", "-"},
      {"no row for a sibling", "other.example", "-"},
      {"the end of a name is no parent", "mybank.example", "-"},
      {"the beginning of a name is no match", "bank.example.net", "-"},
      {"the row's top level alone", "test", "-"},
      {"a number of dots is no name", "...", "-"},
      {"empty labels hide no parent", "a..bank.example", ".bank.example"},
  };
  for (const auto& [what, asked, want] : rows) {
    INFO(what);
    CHECK(row_for(store, asked) == want);
  }
}

TEST_CASE("find_policy: a next hop has only the row spelled as it is", "[core][requirement]") {
  const FakeRuleStore store{{.key = "relay.example"},    {.key = ".relay.example"},
                            {.key = "[relay.example]"},  {.key = "[relay.example]:587"},
                            {.key = "relay.example:26"}, {.key = "[192.0.2.1]"}};
  const Lookup rows[] = {
      {"brackets", "[relay.example]", "[relay.example]"},
      {"brackets and port", "[Relay.Example.]:587", "[relay.example]:587"},
      {"name and port", "relay.example:26", "relay.example:26"},
      {"address", "[192.0.2.1]", "[192.0.2.1]"},
      {"brackets, another port", "[relay.example]:25", "-"},
      {"name, another port", "relay.example:25", "-"},
      {"no parents in brackets", "[mx.relay.example]", "-"},
      {"no parents before a port", "mx.relay.example:26", "-"},
      {"an address with a port", "[192.0.2.1]:25", "-"},
      {"an address without brackets", "192.0.2.1", "-"},
  };
  for (const auto& [what, asked, want] : rows) {
    INFO(what);
    CHECK(row_for(store, asked) == want);
  }
}

TEST_CASE("find_policy: the length of a key hides no row", "[core][requirement]") {
  const std::string host = repeated(61, "abc.") + "abcdefghi";  // 253 bytes: RFC 1035 s2.3.4
  REQUIRE(host.size() == 253);
  const FakeRuleStore store{{.key = host},
                            {.key = "." + host},
                            {.key = "[" + host + "]:65535"},
                            {.key = host + ":65535"},
                            {.key = ".bank.example"}};
  CHECK(row_for(store, host) == host);
  CHECK(row_for(store, "x." + host) == "." + host);
  CHECK(row_for(store, "[" + host + "]:65535") == "[" + host + "]:65535");
  CHECK(row_for(store, host + ":65535") == host + ":65535");
  CHECK(row_for(store, repeated(120, "a.") + "bank.example") == ".bank.example");
  CHECK(row_for(store, std::string(10'000, 'a') + ".bank.example") == ".bank.example");
  CHECK(row_for(store, repeated(5'000, "a.") + "bank.example") == ".bank.example");
  CHECK(row_for(store, std::string(10'000, 'a')) == "-");
}

TEST_CASE("find_policy: local paths and the empty key have no row", "[core][requirement]") {
  const FakeRuleStore store{{.key = "private/dovecot-lmtp"}, {.key = ""}, {.key = ".sock"}};
  CHECK_FALSE(find_policy(store, key("private/dovecot-lmtp"), at(0)).rule);
  CHECK_FALSE(find_policy(store, key("run/lmtp.sock"), at(0)).rule);
  CHECK_FALSE(find_policy(store, NextHopKey{}, at(0)).rule);
  CHECK_FALSE(find_exact_policy(store, key("private/dovecot-lmtp"), at(0)).rule);
}

TEST_CASE("find_policy: a row in mode test does not exist for the answer", "[core][requirement]") {
  const FakeRuleStore store{{.key = "bank.example", .mode = Mode::Test},
                            {.key = ".example", .outbound = Level::Verify},
                            {.key = ".a.test", .mode = Mode::Test},
                            {.key = ".test", .mode = Mode::Test},
                            {.key = "[relay.example]", .mode = Mode::Test},
                            {.key = "gov.example"}};
  struct {
    const char* what;
    std::string_view asked, want_row, want_tested;
  } const rows[] = {
      {"the parent decides, the row is told", "bank.example", ".example", "bank.example"},
      {"of two rows in test the nearest is told", "x.a.test", "-", ".a.test"},
      {"only the farther one is there", "x.b.test", "-", ".test"},
      {"next hop", "[relay.example]", "-", "[relay.example]"},
      {"an enforced row without one in test before it", "gov.example", "gov.example", "-"},
      {"no row at all", "other.net", "-", "-"},
  };
  for (const auto& [what, asked, want_row, want_tested] : rows) {
    INFO(what);
    const Finding finding = find_policy(store, key(asked), at(0));
    CHECK((finding.rule ? finding.rule->key : "-") == want_row);
    CHECK((finding.tested ? finding.tested->key : "-") == want_tested);
  }
}

TEST_CASE("find_policy: a row in mode off does not exist at all", "[core][requirement]") {
  const CarelessRuleStore store{{.key = "bank.example", .mode = Mode::Off}, {.key = ".example"}};
  const Finding finding = find_policy(store, key("bank.example"), at(0));
  REQUIRE(finding.rule);
  CHECK(finding.rule->key == ".example");
  CHECK_FALSE(finding.tested);
  CHECK_FALSE(find_exact_policy(store, key("bank.example"), at(0)).rule);
}

TEST_CASE("find_exact_policy: parents do not count", "[core][requirement]") {
  const FakeRuleStore store{{.key = "bank.example"},
                            {.key = ".bank.example"},
                            {.key = "mail.example:24"},
                            {.key = "t.example", .mode = Mode::Test}};
  const auto exact = [&](std::string_view text) {
    const Finding finding = find_exact_policy(store, key(text), at(0));
    return finding.rule ? std::string(finding.rule->key) : "-";
  };
  CHECK(exact("bank.example") == "bank.example");
  CHECK(exact("mail.example:24") == "mail.example:24");
  CHECK(exact("mx.bank.example") == "-");
  CHECK(exact("mail.example") == "-");
  CHECK(exact("t.example") == "-");
  CHECK(find_exact_policy(store, key("t.example"), at(0)).tested);
}

TEST_CASE("is_forced: where a message may leave only over TLS", "[core][requirement]") {
  for (const Level level : kLevels) {
    INFO(to_text(level));
    const bool may_go_clear = level == Level::None || level == Level::May || level == Level::Dane;
    CHECK(is_forced(level) == !may_go_clear);
  }
}

}  // namespace forcetls
