#include "tests/unit/shared/mta/sendmail_bench.h"

using namespace forcetls;

TEST_CASE("sendmail doctor: tables that lead mail past its row", "[doctor][sendmail]") {
  struct Row {
    const char *what, *table, *key, *value;
    bool is_leak;
  };
  const Row rows[] = {
      {"a domain for another", "domaintable", "bank.example", "b.example", true},
      {"all users", "virtuser", "@bank.example", "%1@b.example", true},
      {"a user", "virtuser", "u@BANK.example", "v@b.example", true},
      {"a mailertable's own recipient", "mailertable", "bank.example", "esmtp:v@b.example", true},
      {"another host only", "mailertable", "bank.example", "esmtp:[b.example]", false},
      {"somebody here", "virtuser", "@bank.example", "root", false},
      {"nobody", "virtuser", "@bank.example", "error:5.1.1:550 no u@b.example", false},
      {"a forced domain", "virtuser", "x@bank.example", "y@bank.example", false},
      {"no forced domain", "domaintable", "a.example", "b.example", false},
      {"no domain", "virtuser", "@bank.example", "%1@%2", false},
      {"somebody at this host", "virtuser", "@bank.example", "fred@localhost", false},
      {"a domain of this host", "virtuser", "@bank.example", "fred@ours.example", false},
      {"below a domain without a row", "virtuser", "@.bank.example", "v@b.example", false},
      {"nothing that is a domain", "virtuser", "@\x01\x02.example", "v@b.example", false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    SendmailBench bench;
    bench.bank().add("Cwours.example").facts.tables[row.table] = {{row.key, row.value}};
    std::vector<std::string> want;
    if (row.is_leak)
      want = {fmt::format("leak certain recipients-redirected @ K{}: {}", row.table, row.key)};
    CHECK(bench.told() == want);
  }
}

TEST_CASE("sendmail doctor: of a domain that many entries lead elsewhere it tells once",
          "[doctor][sendmail]") {
  SendmailBench bench;
  auto& users = bench.bank().facts.tables["virtuser"];
  for (int user = 0; user < 1000; ++user)
    users.push_back({fmt::format("u{}@bank.example", user), fmt::format("u{}@B.example.", user)});
  const auto found = bench.findings();
  REQUIRE(found.size() == 1);
  CHECK(found.front().fix.find("('b.example', 'encrypt')") != std::string::npos);
}
