// One connection to an SQLite database. What SQLite says comes out as Error; nobody outside this
// folder sees sqlite3.h.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "shared/base/result.h"

struct sqlite3;

namespace forcetls {

/// What went wrong last on a connection, with `name` in front. For this folder.
Error last_error(sqlite3* handle, const std::string& name);

/// What to do about the journal that a writer of the database left when it died.
std::string cure_for_hot_journal(const std::string& name);

/// How long a statement waits for somebody else's lock before it gives up as Busy.
constexpr std::chrono::milliseconds kBusyTimeout{5000};

/// The first bytes of a database file.
constexpr std::size_t kHeaderBytes = 100;

/// Refuses what SQLite must not be given, by the first bytes of the file (all of it, or at least
/// kHeaderBytes): NotOurs where there are none or they are no database's, Corrupt in WAL mode,
/// where rows may still be in a side file. `name` is for the message. For this folder.
Result<void> check_header(std::span<const unsigned char> bytes, const std::string& name);

/// Move-only. One thread at a time: open one for each thread.
class Database {
 public:
  /// An existing file, never written to. The file is looked at on the first statement only, so
  /// garbage is reported there, as NotOurs. Errors: NotFound, System.
  static Result<Database> open_readonly(const std::string& path,
                                        std::chrono::milliseconds busy_timeout = kBusyTimeout);

  /// An existing file. Errors: as open_readonly.
  static Result<Database> open_readwrite(const std::string& path,
                                         std::chrono::milliseconds busy_timeout = kBusyTimeout);

  /// An empty database without a file.
  static Result<Database> in_memory();

  /// An existing file, read without any lock, as if nobody wrote to it. Whoever uses it must find
  /// out whether somebody did (file_mark.h), and throw away what was read if so. Errors: NotFound,
  /// System; NotOurs if it is empty or no SQLite file; Corrupt if it is shorter than its header
  /// says, or in WAL mode (rows may still be in a side file).
  static Result<Database> open_unlocked(const std::string& path);

  /// Runs every statement in `sql`; rows are thrown away. Errors: Busy, NotOurs, Corrupt, System,
  /// WrongSchema where tables or columns are missing, Malformed where a rule refuses the values.
  Result<void> exec(std::string_view sql);

  /// Overwrites the database at `path` (an empty file will do) with this one as of now.
  Result<void> copy_to(const std::string& path);

  /// The path or other name given at opening, for messages.
  const std::string& name() const { return name_; }

 private:
  friend class Statement;
  struct Close {
    void operator()(sqlite3* handle) const noexcept;
  };
  Database(sqlite3* handle, std::string name);
  static Result<Database> open(const std::string& path, int flags,
                               std::chrono::milliseconds busy_timeout);

  std::unique_ptr<sqlite3, Close> handle_;
  std::string name_;
};

/// Write transaction; rolled back unless committed. Must not outlive its Database.
class Transaction {
 public:
  /// Takes the write lock at once. Errors: Busy, and those of Database::exec.
  static Result<Transaction> begin(Database& database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  /// Durable once it returns. On failure the transaction is rolled back by the destructor.
  Result<void> commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace forcetls
