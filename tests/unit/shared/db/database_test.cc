// The SQLite wrapper: what each state of a file comes out as.
#include "shared/db/database.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <vector>

#include "shared/db/statement.h"
#include "tests/unit/catch.h"
#include "tests/unit/policy_file.h"

using namespace forcetls;

namespace {

std::vector<unsigned char> bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

ErrorCode code_of_first_query(Result<Database> database) {
  if (!database) return database.error().code;
  auto query = Statement::prepare(*database, "SELECT count(*) FROM domain_policy");
  if (!query) return query.error().code;
  const auto row = query->step();
  REQUIRE_FALSE(row.has_value());
  return row.error().code;
}

}  // namespace

TEST_CASE("Database: what an unusable file is reported as", "[db]") {
  struct Row {
    const char* what;
    std::function<void(const PolicyFile&)> make;
    ErrorCode want;
  };
  const auto row = GENERATE(values<Row>({
      {"no file", [](const PolicyFile&) {}, ErrorCode::NotFound},
      {"garbage", [](const PolicyFile& f) { f.write(std::string(5000, 'x')); }, ErrorCode::NotOurs},
      {"no tables", [](const PolicyFile& f) { f.write(""); }, ErrorCode::WrongSchema},
      {"another database", [](const PolicyFile& f) { f.sql("CREATE TABLE t(a)"); },
       ErrorCode::WrongSchema},
      {"a folder", [](const PolicyFile& f) { std::filesystem::create_directory(f.path()); },
       ErrorCode::System},
  }));
  INFO(row.what);
  PolicyFile file;
  row.make(file);
  CHECK(code_of_first_query(Database::open_readonly(file.path())) == row.want);
  CHECK(code_of_first_query(Database::open_readwrite(file.path())) == row.want);
}

TEST_CASE("Database: a lock held by somebody else is Busy after the timeout", "[db]") {
  PolicyFile file;
  file.init();
  auto writer = Database::open_readwrite(file.path()).value();
  REQUIRE(writer.exec("BEGIN EXCLUSIVE"));
  const std::chrono::milliseconds at_once{1};
  CHECK(code_of_first_query(Database::open_readonly(file.path(), at_once)) == ErrorCode::Busy);
  auto other = Database::open_readwrite(file.path(), at_once).value();
  CHECK(Transaction::begin(other).error().code == ErrorCode::Busy);
}

TEST_CASE("Database: a read-only one does not write", "[db]") {
  PolicyFile file;
  file.init();
  auto database = Database::open_readonly(file.path()).value();
  CHECK(database.exec("DELETE FROM domain_policy").error().code == ErrorCode::System);
}

TEST_CASE("Database: a refused row names the database and the sentence", "[db]") {
  PolicyFile file;
  file.init();
  auto database = Database::open_readwrite(file.path()).value();
  const auto refused = database.exec("INSERT INTO domain_policy(domain) VALUES ('A.example')");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::Malformed);
  CHECK(refused.error().context ==
        file.path() + ": domain is not in lower case: write it as bank.example");
}

TEST_CASE("Database: an uncommitted transaction leaves nothing", "[db]") {
  auto database = Database::in_memory().value();
  REQUIRE(database.exec("CREATE TABLE t(a)"));
  {
    auto transaction = Transaction::begin(database).value();
    REQUIRE(database.exec("INSERT INTO t VALUES (1)"));
  }
  {
    auto transaction = Transaction::begin(database).value();
    REQUIRE(database.exec("INSERT INTO t VALUES (2)"));
    REQUIRE(transaction.commit());
  }
  auto query = Statement::prepare(database, "SELECT group_concat(a) FROM t").value();
  REQUIRE(query.step().value());
  CHECK(query.column_text(0) == "2");
}

TEST_CASE("Database: an unlocked one is read although a writer holds the file", "[db]") {
  PolicyFile file;
  file.init();
  REQUIRE(file.sql("INSERT INTO domain_policy(domain) VALUES ('bank.example')"));
  auto writer = Database::open_readwrite(file.path()).value();
  REQUIRE(writer.exec("BEGIN EXCLUSIVE"));
  auto database = Database::open_unlocked(file.path()).value();
  auto query = Statement::prepare(database, "SELECT domain FROM domain_policy").value();
  REQUIRE(query.step().value());
  CHECK(query.column_text(0) == "bank.example");
  CHECK(database.exec("DELETE FROM domain_policy").error().code == ErrorCode::System);
}

TEST_CASE("Database: a strange path is only a path", "[db]") {
  for (const char* name : {"a b.db", "100%.db", "what?.db", "no#1.db", "file:x.db", "%41.db"}) {
    PolicyFile file;
    file.init(name);
    CHECK(Database::open_unlocked(file.path(name)).value().exec("SELECT * FROM setting"));
  }
}

TEST_CASE("Database: an unusable file is not opened unlocked", "[db]") {
  PolicyFile file;
  file.init();
  const auto good = bytes_of(file.path());
  auto wal = good;
  wal[18] = wal[19] = 2;
  auto cut = good;
  cut.resize(good.size() - 4096);
  const auto code = [&](const std::vector<unsigned char>& bytes) {
    file.write(std::string(bytes.begin(), bytes.end()), "bad.db");
    return Database::open_unlocked(file.path("bad.db")).error().code;
  };
  CHECK(code({}) == ErrorCode::NotOurs);
  CHECK(code({'x'}) == ErrorCode::NotOurs);
  CHECK(code(std::vector<unsigned char>(5000, 'x')) == ErrorCode::NotOurs);
  CHECK(code(wal) == ErrorCode::Corrupt);
  CHECK(code(cut) == ErrorCode::Corrupt);
  CHECK(Database::open_unlocked(file.path("missing.db")).error().code == ErrorCode::NotFound);
  CHECK(Database::open_unlocked("/").error().code == ErrorCode::NotOurs);

  // The header is sound, the pages behind it are not.
  std::vector<unsigned char> torn(good.size(), 0xff);
  std::copy_n(good.begin(), kHeaderBytes, torn.begin());
  file.write(std::string(torn.begin(), torn.end()), "torn.db");
  CHECK(code_of_first_query(Database::open_unlocked(file.path("torn.db"))) == ErrorCode::Corrupt);
}

TEST_CASE("Statement: parameters by name, columns of any type", "[db]") {
  auto database = Database::in_memory().value();
  auto query =
      Statement::prepare(database, "SELECT :text, :number, NULL, 1.5, x'410042', ''").value();
  CHECK(query.bind_int64(":none", 1).error().code == ErrorCode::Malformed);
  REQUIRE(query.bind_text(":text", std::string_view("12\0x", 4)));
  REQUIRE(query.bind_int64(":number", -7));
  REQUIRE(query.step().value());
  CHECK(query.column_text(0) == std::string_view("12\0x", 4));
  CHECK(query.column_int64(0) == 12);
  CHECK(query.column_int64(1) == -7);
  CHECK(query.column_text(1) == "-7");
  CHECK(query.column_is_null(2));
  CHECK(query.column_text(2).empty());
  CHECK(query.column_int64(2) == 0);
  CHECK(query.column_text(3) == "1.5");
  CHECK(query.column_text(4) == std::string_view("A\0B", 3));
  CHECK_FALSE(query.column_is_null(5));
  CHECK(query.column_text(99).empty());
  CHECK_FALSE(query.step().value());

  query.reset();
  REQUIRE(query.bind_text(":text", {}));
  REQUIRE(query.step().value());
  CHECK_FALSE(query.column_is_null(0));
}

TEST_CASE("Statement: no statement, a wrong one", "[db]") {
  auto database = Database::in_memory().value();
  CHECK(Statement::prepare(database, "").error().code == ErrorCode::Malformed);
  CHECK(Statement::prepare(database, "-- nothing").error().code == ErrorCode::Malformed);
  CHECK(Statement::prepare(database, "SELEC 1").error().code == ErrorCode::WrongSchema);
  CHECK(Statement::prepare(database, "SELECT 1 FROM t").error().code == ErrorCode::WrongSchema);
}
