#include "shared/db/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "shared/base/unique_fd.h"

namespace forcetls {
namespace {

// The header of a database file: https://www.sqlite.org/fileformat2.html#the_database_header
constexpr std::string_view kMagic{"SQLite format 3\0", 16};
constexpr std::size_t kPageSizeAt = 16;
constexpr std::size_t kWriteVersionAt = 18;
constexpr std::size_t kChangeCounterAt = 24;
constexpr std::size_t kPageCountAt = 28;
constexpr std::size_t kPageCountValidForAt = 92;
constexpr unsigned char kWalVersion = 2;

std::uint64_t big_endian(std::span<const unsigned char> bytes) {
  std::uint64_t value = 0;
  for (const unsigned char byte : bytes) value = value << 8 | byte;
  return value;
}

/// Bytes that the header says the file has; 0 if it does not say.
std::uint64_t promised_size(std::span<const unsigned char> header) {
  if (big_endian(header.subspan(kChangeCounterAt, 4)) !=
      big_endian(header.subspan(kPageCountValidForAt, 4)))
    return 0;
  const std::uint64_t page_size = big_endian(header.subspan(kPageSizeAt, 2));
  return big_endian(header.subspan(kPageCountAt, 4)) * (page_size == 1 ? 65536 : page_size);
}

/// Looks at the header and the size of a file.
Result<void> check_file(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0)
    return fail(errno == ENOENT ? ErrorCode::NotFound : ErrorCode::System,
                path + ": " + std::strerror(errno));
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::NotOurs, path + ": is not a file");
  std::array<unsigned char, kHeaderBytes> header{};
  const auto got = ::pread(file.get(), header.data(), header.size(), 0);
  const std::span<const unsigned char> bytes(header.data(),
                                             got > 0 ? static_cast<std::size_t>(got) : 0);
  if (auto sound = check_header(bytes, path); !sound) return sound;
  if (static_cast<std::uint64_t>(status.st_size) < promised_size(bytes))
    return fail(ErrorCode::Corrupt, path + ": is cut short");
  return {};
}

/// https://www.sqlite.org/uri.html: no lock is taken, and no journal looked for.
std::string immutable_uri(const std::string& path) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string uri = "file:";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '%' || c == '?' || c == '#') {
      uri += '%';
      uri += kDigits[byte >> 4];
      uri += kDigits[byte & 0xf];
    } else {
      uri += c;
    }
  }
  return uri + "?immutable=1";
}

/// The Error of one SQLite result code, extended or not.
ErrorCode code_of(int result) {
  switch (result) {
    case SQLITE_READONLY_ROLLBACK:
    case SQLITE_READONLY_RECOVERY:
    case SQLITE_READONLY_CANTLOCK:
      return ErrorCode::Busy;
    default:
      break;
  }
  switch (result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::Busy;
    case SQLITE_NOTADB:
      return ErrorCode::NotOurs;
    case SQLITE_CORRUPT:
      return ErrorCode::Corrupt;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
      return ErrorCode::Malformed;
    case SQLITE_TOOBIG:
      return ErrorCode::TooLong;
    case SQLITE_ERROR:
    case SQLITE_SCHEMA:
      return ErrorCode::WrongSchema;
    default:
      return ErrorCode::System;
  }
}

}  // namespace

std::string cure_for_hot_journal(const std::string& name) {
  return "a writer died; run as root: sqlite3 " + name + " 'PRAGMA user_version'";
}

Error last_error(sqlite3* handle, const std::string& name) {
  const int result = ::sqlite3_extended_errcode(handle);
  Error error{code_of(result), name + ": " + ::sqlite3_errmsg(handle)};
  if (result == SQLITE_READONLY_ROLLBACK) error.context += ": " + cure_for_hot_journal(name);
  if ((result & 0xff) == SQLITE_CANTOPEN && ::sqlite3_system_errno(handle) == ENOENT)
    error = {ErrorCode::NotFound, name + ": there is no such file"};
  return error;
}

Result<void> check_header(std::span<const unsigned char> bytes, const std::string& name) {
  if (bytes.empty())
    return fail(ErrorCode::NotOurs,
                name +
                    ": is empty, and an emptied database is no empty policy: restore it from a "
                    "backup, or remove it and run: forcetls init --policy-db " +
                    name);
  if (bytes.size() < kHeaderBytes || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    return fail(ErrorCode::NotOurs, name + ": is not a database");
  if (bytes[kWriteVersionAt] == kWalVersion)
    return fail(ErrorCode::Corrupt, name + ": is in WAL mode, run: sqlite3 " + name +
                                        " 'PRAGMA journal_mode = DELETE'");
  return {};
}

void Database::Close::operator()(sqlite3* handle) const noexcept { ::sqlite3_close_v2(handle); }

Database::Database(sqlite3* handle, std::string name) : handle_(handle), name_(std::move(name)) {}

Result<Database> Database::open(const std::string& path, int flags,
                                std::chrono::milliseconds busy_timeout) {
  const bool unlocked = (flags & SQLITE_OPEN_URI) != 0;
  // Debian's SQLite takes a name that begins with "file:" for a URI.
  const std::string plain = path.starts_with("file:") ? "./" + path : path;
  const std::string file = unlocked ? immutable_uri(path) : plain;
  sqlite3* handle = nullptr;
  const int result = ::sqlite3_open_v2(file.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(handle, path);
  if (handle == nullptr) return fail(ErrorCode::System, path + ": out of memory");
  if (result != SQLITE_OK) return fail(last_error(handle, path));
  ::sqlite3_extended_result_codes(handle, 1);
  // No trusted_schema=OFF: SQLite 3.40 then refuses the JSON functions in our triggers.
  ::sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  ::sqlite3_busy_timeout(handle, static_cast<int>(busy_timeout.count()));
  return database;
}

Result<Database> Database::open_readonly(const std::string& path,
                                         std::chrono::milliseconds busy_timeout) {
  return open(path, SQLITE_OPEN_READONLY, busy_timeout);
}

Result<Database> Database::open_readwrite(const std::string& path,
                                          std::chrono::milliseconds busy_timeout) {
  return open(path, SQLITE_OPEN_READWRITE, busy_timeout);
}

Result<Database> Database::in_memory() {
  return open(":memory:", SQLITE_OPEN_READWRITE, kBusyTimeout);
}

Result<Database> Database::open_unlocked(const std::string& path) {
  if (auto sound = check_file(path); !sound) return fail(std::move(sound).error());
  return open(path, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, kBusyTimeout);
}

Result<void> Database::exec(std::string_view sql) {
  const std::string terminated(sql);
  if (::sqlite3_exec(handle_.get(), terminated.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return fail(last_error(handle_.get(), name_));
  return {};
}

Result<void> Database::copy_to(const std::string& path) {
  auto copy = open_readwrite(path);
  if (!copy) return fail(std::move(copy).error());
  sqlite3* const target = copy->handle_.get();
  sqlite3_backup* const backup = ::sqlite3_backup_init(target, "main", handle_.get(), "main");
  if (backup == nullptr) return fail(last_error(target, path));
  const int stepped = ::sqlite3_backup_step(backup, -1);
  const int finished = ::sqlite3_backup_finish(backup);
  if (stepped == SQLITE_DONE && finished == SQLITE_OK) return {};
  // Busy and locked are results of the step alone: the handles do not remember them.
  const int result = finished != SQLITE_OK ? finished : stepped;
  return fail(code_of(result), path + ": copying " + name_ + ": " + ::sqlite3_errstr(result));
}

Result<Transaction> Transaction::begin(Database& database) {
  if (auto begun = database.exec("BEGIN IMMEDIATE"); !begun) return fail(std::move(begun).error());
  return Transaction(database);
}

Transaction::~Transaction() {
  // Fails only where SQLite has rolled back by itself.
  if (database_ != nullptr) static_cast<void>(database_->exec("ROLLBACK"));
}

Result<void> Transaction::commit() {
  auto done = database_->exec("COMMIT");
  if (done) database_ = nullptr;
  return done;
}

}  // namespace forcetls
