// Which of many keys get no answer, found out with few lookups.
#include "ctl/live_answers.h"

#include <algorithm>

#include "tests/unit/catch.h"

using namespace forcetls;

namespace {

/// postmap on a table of `entries` that cannot answer for `broken`.
struct Table {
  std::map<std::string, std::string> entries;
  std::vector<std::string> broken;
  ErrorCode code = ErrorCode::System;
  int lookups = 0;

  Result<std::map<std::string, std::string>> operator()(const std::vector<std::string>& keys) {
    ++lookups;
    std::map<std::string, std::string> found;
    for (const std::string& key : keys) {
      if (std::find(broken.begin(), broken.end(), key) != broken.end())
        return fail(code, "no answer for " + key);
      if (const auto entry = entries.find(key); entry != entries.end()) found.insert(*entry);
    }
    return found;
  }
};

std::vector<std::string> many_keys(int count) {
  std::vector<std::string> keys;
  for (int i = 0; i < count; ++i) keys.push_back("d" + std::to_string(i) + ".example");
  return keys;
}

doctor::LiveAnswers ask(Table& table, const std::vector<std::string>& keys) {
  return ask_policyd([&table](const std::vector<std::string>& batch) { return table(batch); },
                     keys);
}

}  // namespace

TEST_CASE("live answers: a table that answers is asked once", "[doctor]") {
  Table table{{{"d1.example", "may"}}, {}};
  const auto live = ask(table, many_keys(3));
  CHECK(live.answers == table.entries);
  CHECK(live.failures.empty());
  CHECK(table.lookups == 1);
  CHECK(ask(table, {}).answers.empty());
  CHECK(table.lookups == 1);
}

TEST_CASE("live answers: keys that get none do not hide the others", "[doctor]") {
  Table table{{{"d1.example", "may"}, {"d900.example", "encrypt"}}, {"d2.example", "d901.example"}};
  const auto live = ask(table, many_keys(1000));
  CHECK(live.answers == table.entries);
  CHECK(live.failures ==
        std::map<std::string, std::string>{{"d2.example", "no answer for d2.example"},
                                           {"d901.example", "no answer for d901.example"}});
}

TEST_CASE("live answers: the search ends where nothing answers, or not in time", "[doctor]") {
  Table dead{{}, many_keys(1000)};
  CHECK(ask(dead, dead.broken).failures.size() == 1000);
  CHECK(dead.lookups <= 2 * kMostFailingLookups);
  Table slow{{}, many_keys(1000), ErrorCode::Busy};
  CHECK(ask(slow, slow.broken).failures.size() == 1000);
  CHECK(slow.lookups == 1);
}
