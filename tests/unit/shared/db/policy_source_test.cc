// The states of a policy database that an administrator, or an accident, can bring about.
#include "shared/db/policy_source.h"

#include <atomic>
#include <thread>

#include "shared/core/requirement.h"
#include "shared/db/database.h"
#include "tests/unit/catch.h"
#include "tests/unit/fakes/log_sink.h"
#include "tests/unit/policy_file.h"

using namespace forcetls;

namespace {

struct Watching {
  PolicyFile file;
  FakeLogSink sink;

  std::unique_ptr<PolicySource> start() {
    return std::make_unique<PolicySource>(file.path(), Log(sink, LogLevel::Debug));
  }
};

/// "none" without policy, "no row", or the level of bank.example's row.
std::string level_of_bank(const PolicySource& source) {
  const auto policy = source.current();
  if (!policy) return "none";
  const auto rule = policy->find_rule("bank.example");
  return rule ? std::string(to_text(rule->outbound.level)) : "no row";
}

bool becomes(const PolicySource& source, const std::string& level) {
  return eventually([&] { return level_of_bank(source) == level; });
}

constexpr const char* kInsertSecure =
    "INSERT INTO domain_policy(domain, outbound) VALUES ('bank.example', 'secure')";
constexpr const char* kLower = "UPDATE domain_policy SET outbound = 'encrypt'";

}  // namespace

TEST_CASE("PolicySource: a commit is in force without any reload", "[db][source][threads]") {
  Watching w;
  w.file.init();
  const auto source = w.start();
  CHECK(level_of_bank(*source) == "no row");
  const auto before = source->generation();
  REQUIRE(w.file.sql(kInsertSecure));
  CHECK(becomes(*source, "secure"));
  CHECK(source->generation() > before);
  REQUIRE(w.file.sql(kLower));
  CHECK(becomes(*source, "encrypt"));
  REQUIRE(w.file.sql("DELETE FROM domain_policy"));
  CHECK(becomes(*source, "no row"));
}

TEST_CASE("PolicySource: a cold start without a readable database has no policy until there is one",
          "[db][source][threads]") {
  struct Row {
    const char* what;
    std::function<void(const PolicyFile&)> make;
  };
  const Row rows[] = {
      {"missing", [](const PolicyFile&) {}},
      {"zero bytes", [](const PolicyFile& f) { f.write(""); }},
      {"garbage",
       [](const PolicyFile& f) { f.write("this is not a database at all, really not"); }},
      {"a directory", [](const PolicyFile& f) { f.shell("mkdir policy.db"); }},
      {"another application's database",
       [](const PolicyFile& f) { f.sql("CREATE TABLE domain_policy(domain TEXT)"); }},
      {"older schema", [](const PolicyFile& f) { f.init(), f.sql("PRAGMA user_version = 0"); }},
      {"newer schema", [](const PolicyFile& f) { f.init(), f.sql("PRAGMA user_version = 99"); }},
      {"WAL mode", [](const PolicyFile& f) { f.init(), f.sql("PRAGMA journal_mode = WAL"); }},
      {"cut short", [](const PolicyFile& f) { f.init(), f.shell("truncate -s 5000 policy.db"); }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Watching w;
    row.make(w.file);
    const auto source = w.start();
    CHECK(level_of_bank(*source) == "none");
    CHECK(w.sink.has("all mail waits"));
    w.file.shell("rm -rf policy.db policy.db-wal policy.db-shm");
    w.file.init("new.db");
    REQUIRE(w.file.sql(kInsertSecure, "new.db"));
    REQUIRE(w.file.shell("mv new.db policy.db"));
    CHECK(becomes(*source, "secure"));
  }
}

TEST_CASE("PolicySource: an accident to the file leaves the last committed policy in force",
          "[db][source][threads]") {
  struct Row {
    const char* what;
    const char* accident;
  };
  const Row rows[] = {
      {"deleted", "rm policy.db"},
      {"emptied", ": > policy.db"},
      {"garbage", "echo garbage > policy.db"},
      {"cut short", "truncate -s 5000 policy.db"},
      {"moved away", "mv policy.db elsewhere.db"},
      {"a directory in its place", "rm policy.db && mkdir policy.db"},
      {"a foreign database", "rm policy.db && sqlite3 policy.db 'CREATE TABLE x(y)'"},
      {".restore of a missing file", "sqlite3 policy.db '.restore missing.db'"},
      {"newer schema", "sqlite3 policy.db 'PRAGMA user_version = 99'"},
      {"WAL mode", "sqlite3 policy.db 'PRAGMA journal_mode = WAL'"},
      {"unreadable content", "printf xxxxxxxxxxxxxxxx | dd of=policy.db conv=notrunc status=none"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Watching w;
    w.file.init();
    REQUIRE(w.file.sql(kInsertSecure));
    REQUIRE(w.file.shell("cp policy.db backup.db"));
    const auto source = w.start();
    REQUIRE(level_of_bank(*source) == "secure");
    w.file.shell(std::string(row.accident) + " > accident.log 2>&1");
    CHECK(eventually([&] { return w.sink.has("the last committed policy stays in force"); }));
    CHECK(level_of_bank(*source) == "secure");
    // The cure: the backup put back by cp, then an edit.
    REQUIRE(w.file.shell("rm -rf policy.db policy.db-wal policy.db-shm; cp backup.db policy.db"));
    REQUIRE(w.file.sql(kLower));
    CHECK(becomes(*source, "encrypt"));
  }
}

TEST_CASE("PolicySource: a file that is replaced or overwritten is taken up",
          "[db][source][threads]") {
  for (const char* way :
       {"mv other.db policy.db", "cp other.db policy.db", "cat other.db > policy.db",
        "sqlite3 policy.db '.restore other.db'",
        "sqlite3 policy.db 'DELETE FROM domain_policy' && sqlite3 policy.db VACUUM "
        "&& cp other.db policy.db"}) {
    CAPTURE(way);
    Watching w;
    w.file.init();
    REQUIRE(w.file.sql(kInsertSecure));
    REQUIRE(w.file.shell("cp policy.db other.db"));
    REQUIRE(w.file.sql(kLower, "other.db"));
    const auto source = w.start();
    REQUIRE(level_of_bank(*source) == "secure");
    REQUIRE(w.file.shell(way));
    CHECK(becomes(*source, "encrypt"));
  }
}

TEST_CASE("PolicySource: an open transaction neither disturbs nor is disturbed",
          "[db][source][threads]") {
  Watching w;
  w.file.init();
  REQUIRE(w.file.sql(kInsertSecure));
  const auto source = w.start();
  REQUIRE(level_of_bank(*source) == "secure");
  auto writer = Database::open_readwrite(w.file.path());
  REQUIRE(writer);
  REQUIRE(writer->exec("BEGIN EXCLUSIVE"));
  REQUIRE(writer->exec(kLower));
  // Time enough for several looks at the file, each of which must leave it alone.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(level_of_bank(*source) == "secure");
  REQUIRE(writer->exec("ROLLBACK"));
  CHECK(level_of_bank(*source) == "secure");
  REQUIRE(w.file.sql(kLower));
  CHECK(becomes(*source, "encrypt"));
}

TEST_CASE("PolicySource: the stock shell never finds the file locked by us",
          "[db][source][threads]") {
  Watching w;
  w.file.init();
  const auto source = w.start();
  for (int i = 0; i < 50; ++i) {
    const std::string row = "('d" + std::to_string(i) + ".example')";
    REQUIRE(w.file.sql("INSERT INTO domain_policy(domain) VALUES " + row));
  }
  CHECK(eventually([&] { return source->current()->find_rule("d49.example").has_value(); }));
}

TEST_CASE("PolicySource: what one commit did to a big policy is in force before all is read again",
          "[db][source][threads]") {
  Watching w;
  w.file.init();
  REQUIRE(
      w.file.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                 "20000) INSERT INTO domain_policy(domain, outbound) "
                 "SELECT 'd' || i || '.example', 'may' FROM n"));
  REQUIRE(w.file.sql(kInsertSecure));
  const auto source = w.start();
  REQUIRE(level_of_bank(*source) == "secure");
  w.sink.clear();
  REQUIRE(
      w.file.sql("BEGIN; UPDATE domain_policy SET outbound = 'verify' WHERE domain = "
                 "'bank.example'; DELETE FROM domain_policy WHERE domain = 'd7.example'; "
                 "UPDATE domain_policy SET mode = 'off' WHERE domain = 'd8.example'; UPDATE "
                 "domain_policy SET domain = 'renamed.example' WHERE domain = 'd9.example'; "
                 "UPDATE setting SET value = 'encrypt' WHERE name = 'unlisted_relay'; COMMIT"));
  REQUIRE(becomes(*source, "verify"));
  const auto check = [&] {
    const auto policy = source->current();
    CHECK_FALSE(policy->find_rule("d7.example"));
    CHECK_FALSE(policy->find_rule("d8.example"));
    CHECK_FALSE(policy->find_rule("d9.example"));
    CHECK(policy->find_rule("renamed.example"));
    CHECK(policy->find_rule("d10.example"));
    CHECK(policy->settings().unlisted_relay == UnlistedRelay::Encrypt);
  };
  check();
  CHECK(eventually([&] { return w.sink.has("changes read in"); }));
  CHECK(eventually([&] { return w.sink.has("policy confirmed"); }));
  check();
}

TEST_CASE("PolicySource: a change that no trigger wrote down is found as well",
          "[db][source][threads]") {
  Watching w;
  w.file.init();
  REQUIRE(w.file.sql(kInsertSecure));
  const auto source = w.start();
  REQUIRE(
      w.file.sql("DROP TRIGGER domain_policy_updated; UPDATE domain_policy SET outbound = "
                 "'encrypt'"));
  CHECK(becomes(*source, "encrypt"));
}

TEST_CASE("PolicySource: commits without a pause hide no change", "[db][source][threads]") {
  Watching w;
  w.file.init();
  REQUIRE(
      w.file.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                 "20000) INSERT INTO domain_policy(domain) SELECT 'd' || i || '.example' FROM n"));
  const auto source = w.start();
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 0; !done; ++i) {
      w.file.sql("UPDATE domain_policy SET note = '" + std::to_string(i) +
                 "' WHERE domain = 'd1.example'");
    }
  });
  CHECK(eventually([&] { return w.file.sql(kInsertSecure); }));
  CHECK(becomes(*source, "secure"));
  done = true;
  writer.join();
}

TEST_CASE("PolicySource: nor do they where the changes alone take longer to read than the pauses",
          "[db][source][threads]") {
  Watching w;
  w.file.init();
  const auto source = w.start();
  std::atomic<bool> done = false;
  std::thread writer([&] {
    w.file.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) "
        "INSERT INTO domain_policy(domain) SELECT 'd' || i || '.example' FROM n");
    for (int i = 0; !done; ++i) {
      w.file.sql("UPDATE domain_policy SET note = '" + std::to_string(i) +
                 "' WHERE domain = 'd1.example'");
    }
  });
  CHECK(eventually([&] { return w.file.sql("SELECT 1 / count(*) FROM domain_policy"); }));
  CHECK(eventually([&] { return w.file.sql(kInsertSecure); }));
  CHECK(eventually([&] { return level_of_bank(*source) == "secure"; }, std::chrono::seconds(60)));
  done = true;
  writer.join();
}

TEST_CASE("PolicySource: a backup put back takes changes away again", "[db][source][threads]") {
  Watching w;
  w.file.init();
  REQUIRE(w.file.sql(kInsertSecure));
  REQUIRE(w.file.shell("cp policy.db backup.db"));
  const auto source = w.start();
  REQUIRE(w.file.sql(kLower));
  REQUIRE(becomes(*source, "encrypt"));
  REQUIRE(w.file.shell("sqlite3 policy.db '.restore backup.db'"));
  CHECK(becomes(*source, "secure"));
  // Another history with as many entries.
  REQUIRE(w.file.sql("UPDATE domain_policy SET outbound = 'verify'"));
  CHECK(becomes(*source, "verify"));
}

TEST_CASE("PolicySource: behind a symbolic link an open transaction counts for nothing either",
          "[db][source][threads]") {
  Watching w;
  w.file.init("real.db");
  REQUIRE(
      w.file.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                 "5000) INSERT INTO domain_policy(domain) SELECT 'd' || i || '.example' FROM n",
                 "real.db"));
  REQUIRE(w.file.shell("mkdir link && mv real.db link/ && ln -s link/real.db policy.db"));
  const auto source = w.start();
  SqliteShell writer(w.file, "link/real.db");
  for (const char* journal : {"DELETE", "MEMORY"}) {
    CAPTURE(journal);
    w.sink.clear();
    writer.run(std::string("PRAGMA journal_mode = ") + journal);
    writer.run("PRAGMA cache_size = 5; BEGIN; UPDATE domain_policy SET mode = 'off'");
    REQUIRE(eventually([&] { return w.sink.has("the last committed policy stays in force"); }));
    for (const char* key : {"d1.example", "d2500.example", "d5000.example"})
      CHECK(source->current()->find_rule(key));
    writer.run("ROLLBACK");
    CHECK(eventually([&] { return w.sink.has("policy in force"); }));
  }
  REQUIRE(w.file.sql(kInsertSecure, "link/real.db"));
  CHECK(becomes(*source, "secure"));
}

TEST_CASE(
    "PolicySource: what a dead writer left is told with its cure, which no lock is in the way of",
    "[db][source][threads]") {
  Watching w;
  w.file.init();
  REQUIRE(
      w.file.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                 "5000) INSERT INTO domain_policy(domain) SELECT 'd' || i || '.example' FROM n"));
  REQUIRE(w.file.sql(kInsertSecure));
  const auto source = w.start();
  {
    SqliteShell writer(w.file, "policy.db");
    writer.run("PRAGMA cache_size = 5; BEGIN; DELETE FROM domain_policy");
    REQUIRE(w.file.shell("cp policy.db dead.db && cp policy.db-journal dead.db-journal"));
  }
  REQUIRE(w.file.shell("mv dead.db-journal policy.db-journal && mv dead.db policy.db"));
  // Not SQLite's own words: it was not asked for a lock.
  REQUIRE(
      eventually([&] { return w.sink.has("/policy.db: a writer died; run as root: sqlite3 "); }));
  CHECK(level_of_bank(*source) == "secure");
  w.sink.clear();
  REQUIRE(w.file.sql("PRAGMA user_version"));
  CHECK(eventually([&] { return w.sink.has("policy in force"); }));
  CHECK(level_of_bank(*source) == "secure");
  CHECK(source->current()->find_rule("d5000.example"));
}

TEST_CASE("PolicySource: damage that the changes do not show is complained of until it is mended",
          "[db][source][threads]") {
  Watching w;
  w.file.init();
  REQUIRE(
      w.file.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                 "5000) INSERT INTO domain_policy(domain) SELECT 'd' || i || '.example' FROM n"));
  REQUIRE(w.file.shell("cp policy.db backup.db"));
  const auto source = w.start();
  w.sink.clear();
  REQUIRE(
      w.file.shell("sqlite3 policy.db \"SELECT pageno FROM dbstat WHERE name = 'domain_policy' "
                   "AND pagetype = 'leaf' LIMIT 1 OFFSET 20\" > page && dd if=/dev/urandom "
                   "of=policy.db bs=4096 seek=$(($(cat page) - 1)) count=1 conv=notrunc "
                   "status=none"));
  REQUIRE(eventually([&] { return w.sink.has("the last committed policy stays in force"); }));
  w.sink.clear();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK_FALSE(w.sink.has("policy in force"));
  CHECK(source->current()->find_rule("d5000.example"));
  REQUIRE(w.file.shell("cp backup.db policy.db"));
  CHECK(eventually([&] { return w.sink.has("policy in force"); }));
}
