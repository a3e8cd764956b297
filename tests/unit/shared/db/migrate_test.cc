// forcetls init: creates, migrates with a backup, or leaves everything as it was.
#include "shared/db/migrate.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <barrier>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <set>

#include "schema/sql.h"
#include "tests/unit/catch.h"
#include "tests/unit/policy_file.h"

using namespace forcetls;

namespace {

using Kind = InitOutcome::Kind;

constexpr std::chrono::sys_seconds kNow{std::chrono::seconds(1795343400)};  // 2026-11-22 10:30:00
constexpr int kNewest = static_cast<int>(sql::kPolicyMigrations.size());
const std::string kMark = "PRAGMA user_version = " + std::to_string(kNewest + 1) + ";";
const std::string kNext = "ALTER TABLE domain_policy ADD COLUMN extra TEXT; " + kMark;
const std::string kFailing = "CREATE TABLE new(a); SELECT nothing; " + kMark;
const std::string kForgetful = "CREATE TABLE new(a);";
const std::string kBackup = "policy.db.backup-v" + std::to_string(kNewest) + "-20261122T103000Z";

std::vector<std::string_view> with(std::string_view migration) {
  std::vector<std::string_view> all(sql::kPolicyMigrations.begin(), sql::kPolicyMigrations.end());
  all.push_back(migration);
  return all;
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::set<std::string> files_in(const std::string& path) {
  std::set<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(path).parent_path()))
    names.insert(entry.path().filename());
  return names;
}

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777u;
}

constexpr const char* kInsert = "INSERT INTO domain_policy(domain) VALUES ('bank.example')";

}  // namespace

TEST_CASE("init: creates an empty policy, mode 0640, and nothing else", "[db][migrate]") {
  PolicyFile file;
  const auto outcome = init_policy_db(file.path());
  REQUIRE(outcome);
  CHECK(outcome->kind == Kind::Created);
  CHECK(outcome->to_version == kNewest);
  CHECK(mode_of(file.path()) == 0640);
  CHECK(files_in(file.path()) == std::set<std::string>{"policy.db"});
  auto database = Database::open_readonly(file.path()).value();
  CHECK(check_schema(database).has_value());
}

TEST_CASE("init: a second time finds it up to date and touches nothing", "[db][migrate]") {
  PolicyFile file;
  file.init();
  REQUIRE(file.sql(kInsert));
  const std::string before = content(file.path());
  CHECK(init_policy_db(file.path())->kind == Kind::UpToDate);
  CHECK(content(file.path()) == before);
  CHECK(files_in(file.path()) == std::set<std::string>{"policy.db"});
}

TEST_CASE("init: no directory", "[db][migrate]") {
  PolicyFile file;
  CHECK(init_policy_db(file.path() + "/x/policy.db").error().code == ErrorCode::NotFound);
}

TEST_CASE("init: what it refuses stays as it is", "[db][migrate]") {
  struct Row {
    const char* what;
    std::function<void(const PolicyFile&)> make;
    ErrorCode want;
    const char* sentence;
  };
  const auto row = GENERATE(values<Row>({
      {"empty", [](const PolicyFile& f) { f.write(""); }, ErrorCode::NotOurs, "is empty"},
      {"garbage", [](const PolicyFile& f) { f.write(std::string(5000, 'x')); }, ErrorCode::NotOurs,
       "is not a database"},
      {"a few bytes", [](const PolicyFile& f) { f.write("SQLite format 3"); }, ErrorCode::NotOurs,
       "is not a database"},
      {"another database", [](const PolicyFile& f) { f.sql("CREATE TABLE t(a)"); },
       ErrorCode::NotOurs, "no policy database"},
      {"newer",
       [](const PolicyFile& f) {
         f.init();
         f.sql("PRAGMA user_version = 99");
       },
       ErrorCode::WrongSchema, "upgrade forcetls"},
      {"version lost",
       [](const PolicyFile& f) {
         f.init();
         f.sql("PRAGMA user_version = 0");
       },
       ErrorCode::Corrupt, "restore it"},
      {"WAL",
       [](const PolicyFile& f) {
         f.init();
         f.sql("PRAGMA journal_mode = WAL");
       },
       ErrorCode::Corrupt, "PRAGMA journal_mode = DELETE"},
  }));
  INFO(row.what);
  PolicyFile file;
  row.make(file);
  const std::string before = content(file.path());
  const auto outcome = init_policy_db(file.path());
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == row.want);
  CHECK_THAT(outcome.error().context, ContainsSubstring(row.sentence));
  CHECK_THAT(outcome.error().context, StartsWith(file.path()));
  CHECK(content(file.path()) == before);
  CHECK(files_in(file.path()) == std::set<std::string>{"policy.db"});
}

TEST_CASE("init: a dangling symbolic link or a folder is not overwritten", "[db][migrate]") {
  PolicyFile file;
  std::filesystem::create_symlink("nowhere", file.path());
  CHECK_THAT(init_policy_db(file.path()).error().context, ContainsSubstring("symbolic link"));
  CHECK(std::filesystem::is_symlink(file.path()));
  std::filesystem::remove(file.path());
  std::filesystem::create_directory(file.path());
  CHECK(init_policy_db(file.path()).error().code == ErrorCode::NotOurs);
}

TEST_CASE("init: a failing first migration leaves nothing", "[db][migrate]") {
  PolicyFile file;
  CHECK_FALSE(init_policy_db(file.path(), with(kFailing), kNow));
  CHECK(files_in(file.path()).empty());
}

TEST_CASE("init: migrates an older database after copying it", "[db][migrate]") {
  PolicyFile file;
  file.init();
  REQUIRE(file.sql(kInsert));
  const std::string backup = file.path(kBackup);
  const auto outcome = init_policy_db(file.path(), with(kNext), kNow);
  REQUIRE(outcome);
  CHECK(outcome->kind == Kind::Migrated);
  CHECK(outcome->from_version == kNewest);
  CHECK(outcome->to_version == kNewest + 1);
  CHECK(outcome->backup_path == backup);
  CHECK(files_in(file.path()) == std::set<std::string>{"policy.db", kBackup});
  CHECK(mode_of(backup) == 0640);
  CHECK(file.sql("SELECT 1/(count(extra IS NULL) = 1) FROM domain_policy"));

  auto old = Database::open_readonly(backup).value();
  CHECK(check_schema(old).has_value());
  auto now = Database::open_readonly(file.path()).value();
  CHECK(check_schema(now).error().code == ErrorCode::WrongSchema);
}

TEST_CASE("init: a database of each older schema keeps its rows and its log", "[db][migrate]") {
  const auto version = GENERATE(range(1, kNewest));
  PolicyFile file;
  const std::span<const std::string_view> all = sql::kPolicyMigrations;
  REQUIRE(init_policy_db(file.path(), all.first(static_cast<std::size_t>(version)), kNow));
  REQUIRE(file.sql(kInsert));
  const auto outcome = init_policy_db(file.path());
  REQUIRE(outcome);
  CHECK(outcome->kind == Kind::Migrated);
  CHECK(outcome->from_version == version);
  CHECK(outcome->to_version == kNewest);
  CHECK(file.sql("SELECT 1/(count(*) = 1) FROM effective_policy WHERE domain = 'bank.example'"));
  CHECK(file.sql("SELECT 1/(count(*) = 1) FROM policy_change WHERE changed_by IS NULL"));
  auto now = Database::open_readonly(file.path()).value();
  CHECK(check_schema(now).has_value());
}

TEST_CASE("init: a migration that fails leaves the old database", "[db][migrate]") {
  const auto migration = GENERATE(kFailing, kForgetful);
  PolicyFile file;
  file.init();
  REQUIRE(file.sql(kInsert));
  const std::string before = content(file.path());
  const auto outcome = init_policy_db(file.path(), with(migration), kNow);
  REQUIRE_FALSE(outcome);
  CHECK_THAT(outcome.error().context, ContainsSubstring("nothing was changed"));
  CHECK(content(file.path()) == before);
}

TEST_CASE("init: a backup is never overwritten", "[db][migrate]") {
  PolicyFile file;
  file.init();
  file.write("precious", kBackup);
  file.write("precious, too", kBackup + ".2");
  const auto outcome = init_policy_db(file.path(), with(kNext), kNow);
  REQUIRE(outcome);
  CHECK(outcome->backup_path == file.path(kBackup + ".3"));
  CHECK(content(file.path(kBackup)) == "precious");
  CHECK(content(file.path(kBackup + ".2")) == "precious, too");
  CHECK(files_in(file.path()) ==
        std::set<std::string>{"policy.db", kBackup, kBackup + ".2", kBackup + ".3"});
}

TEST_CASE("init: without a backup nothing is migrated", "[db][migrate]") {
  PolicyFile file;
  file.init();
  const std::string before = content(file.path());
  auto on_excess = ::signal(SIGXFSZ, SIG_IGN);  // as if the disk were full
  rlimit usual{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &usual) == 0);
  const rlimit half{8192, usual.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &half) == 0);
  const auto outcome = init_policy_db(file.path(), with(kNext), kNow);
  ::setrlimit(RLIMIT_FSIZE, &usual);
  ::signal(SIGXFSZ, on_excess);
  REQUIRE_FALSE(outcome);
  CHECK_THAT(outcome.error().context, ContainsSubstring("no backup, so nothing was changed"));
  CHECK(content(file.path()) == before);
  CHECK(files_in(file.path()) == std::set<std::string>{"policy.db"});
}

TEST_CASE("init: two at once migrate once", "[db][migrate][threads]") {
  for (int round = 0; round < 20; ++round) {
    PolicyFile file;
    file.init();
    std::barrier start(2);
    const auto init = [&] {
      start.arrive_and_wait();
      return init_policy_db(file.path(), with(kNext), kNow).value();
    };
    auto other = std::async(std::launch::async, init);
    const std::set<Kind> kinds{init().kind, other.get().kind};
    CHECK(kinds == std::set<Kind>{Kind::Migrated, Kind::UpToDate});
    CHECK(files_in(file.path()) == std::set<std::string>{"policy.db", kBackup});
  }
}

TEST_CASE("init: one that is killed while it copies leaves nothing that looks like a backup",
          "[db][migrate]") {
  PolicyFile file;
  file.init();
  const std::string before = content(file.path());
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_DFL);
    const rlimit half{8192, 8192};
    ::setrlimit(RLIMIT_FSIZE, &half);
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    (void)init_policy_db(file.path(), with(kNext), kNow);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  CHECK(content(file.path()) == before);
  const auto left = files_in(file.path());
  CHECK(left.size() > 1);
  for (const std::string& name : left)
    CHECK((name == "policy.db" || name.starts_with("policy.db.unfinished-")));
  CHECK(init_policy_db(file.path(), with(kNext), kNow)->kind == Kind::Migrated);
}

TEST_CASE("check_schema: names the file and what to do", "[db][migrate]") {
  PolicyFile file;
  file.init();
  auto database = Database::open_readwrite(file.path()).value();
  REQUIRE(check_schema(database));
  REQUIRE(database.exec("PRAGMA user_version = 99"));
  CHECK(check_schema(database).error().code == ErrorCode::WrongSchema);
  CHECK_THAT(check_schema(database).error().context, StartsWith(file.path()));
  REQUIRE(database.exec("PRAGMA application_id = 1"));
  CHECK(check_schema(database).error().code == ErrorCode::NotOurs);
  auto empty = Database::in_memory().value();
  CHECK(check_schema(empty).error().code == ErrorCode::NotOurs);
}
