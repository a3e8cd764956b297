#include "shared/db/migrate.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "schema/sql.h"
#include "shared/base/unique_fd.h"
#include "shared/db/statement.h"

namespace forcetls {
namespace {

constexpr mode_t kFileMode = 0640;

struct Identity {
  std::int64_t application_id;
  std::int64_t version;
};

tl::unexpected<Error> system_failure(const std::string& path) {
  const int reason = errno;
  return fail(reason == ENOENT ? ErrorCode::NotFound : ErrorCode::System,
              path + ": " + std::strerror(reason));
}

Result<Identity> read_identity(Database& database) {
  auto query = Statement::prepare(database, sql::kLoadSchemaIdentity);
  if (!query) return fail(std::move(query).error());
  const auto row = query->step();
  if (!row) return fail(row.error());
  return Identity{query->column_int64(0), query->column_int64(1)};
}

Result<Identity> check_identity(Database& database, std::size_t newest) {
  auto identity = read_identity(database);
  if (!identity) return identity;
  const std::string& name = database.name();
  if (identity->application_id != kPolicyApplicationId)
    return fail(ErrorCode::NotOurs, name +
                                        ": is no policy database of forcetls (a copy made with "
                                        "sqlite3 .dump loses the mark: copy with .backup)");
  if (identity->version < 1)
    return fail(ErrorCode::Corrupt, name + ": has no schema version: restore it from a backup");
  if (identity->version > static_cast<std::int64_t>(newest))
    return fail(ErrorCode::WrongSchema,
                fmt::format("{}: has schema {}, this forcetls knows {} at most: upgrade forcetls",
                            name, identity->version, newest));
  return identity;
}

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> sync(const std::string& path, int flags) {
  const UniqueFd file(::open(path.c_str(), flags | O_RDONLY | O_CLOEXEC));
  if (!file || ::fsync(file.get()) != 0) return system_failure(path);
  return {};
}

/// A file under a temporary name that is removed unless it is published. If the program is killed
/// it stays, and nobody must take it for a copy of the policy: its name says what it is.
class Draft {
 public:
  /// An empty file beside the database `path`, with the owner, group and mode of `like`. Errors:
  /// NotFound, System.
  static Result<Draft> beside(const std::string& path, const struct stat& like) {
    std::string name = path + ".unfinished-XXXXXX";
    const UniqueFd file(::mkostemp(name.data(), O_CLOEXEC));
    if (!file) return system_failure(path);
    Draft draft(std::move(name));
    // Only root can give a file away; for others it stays theirs, as any file they make.
    if (::fchown(file.get(), ::geteuid() == 0 ? like.st_uid : uid_t(-1), like.st_gid) != 0 &&
        errno != EPERM)
      return system_failure(path);
    if (::fchmod(file.get(), like.st_mode & 0777) != 0) return system_failure(path);
    return draft;
  }
  Draft(Draft&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Draft& operator=(Draft&&) = delete;
  ~Draft() {
    if (path_.empty()) return;
    ::unlink(path_.c_str());
    ::unlink((path_ + "-journal").c_str());
  }
  const std::string& path() const { return path_; }

  /// Gives the file its name, durably; never overwrites. Errors: System.
  Result<void> publish(const std::string& target) const {
    if (auto synced = sync(path_, 0); !synced) return synced;
    if (::link(path_.c_str(), target.c_str()) != 0) return system_failure(target);
    return sync(directory_of(target), O_DIRECTORY);
  }

 private:
  explicit Draft(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// Runs what is missing after `version` in one transaction.
Result<void> run_migrations(Database& database, std::int64_t version,
                            std::span<const std::string_view> migrations) {
  for (auto next = static_cast<std::size_t>(version); next < migrations.size(); ++next) {
    if (auto done = database.exec(migrations[next]); !done) return done;
    const auto identity = read_identity(database);
    if (!identity) return fail(identity.error());
    if (identity->version != static_cast<std::int64_t>(next) + 1)
      return fail(ErrorCode::WrongSchema,
                  fmt::format("{}: migration {} left user_version {}", database.name(), next + 1,
                              identity->version));
  }
  return {};
}

/// A link that leads nowhere stands for a database that is elsewhere, not mounted yet perhaps.
Result<void> check_link(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISLNK(status.st_mode)) return {};
  return fail(ErrorCode::NotFound,
              path +
                  ": is a symbolic link, and what it names is not there: mount or restore that, "
                  "or remove the link for an empty policy");
}

Result<InitOutcome> create(const std::string& path, std::span<const std::string_view> migrations) {
  const std::string directory = directory_of(path);
  struct stat parent {};
  if (::stat(directory.c_str(), &parent) != 0) return system_failure(directory);
  parent.st_uid = ::geteuid();
  parent.st_mode = kFileMode;
  auto draft = Draft::beside(path, parent);
  if (!draft) return fail(std::move(draft).error());
  {
    auto database = Database::open_readwrite(draft->path());
    if (!database) return fail(std::move(database).error());
    auto transaction = Transaction::begin(*database);
    if (!transaction) return fail(std::move(transaction).error());
    if (auto done = run_migrations(*database, 0, migrations); !done) return fail(done.error());
    if (auto done = transaction->commit(); !done) return fail(done.error());
  }
  if (auto done = draft->publish(path); !done) return fail(done.error());
  return InitOutcome{InitOutcome::Kind::Created, 0, static_cast<int>(migrations.size()), {}};
}

/// `target`, or `target`.2 and so on if there is such a file: somebody was killed who had got as
/// far in the same second.
std::string free_name(const std::string& target) {
  struct stat status {};
  std::string name = target;
  for (int next = 2; ::lstat(name.c_str(), &status) == 0; ++next)
    name = fmt::format("{}.{}", target, next);
  return name;
}

/// The path of the copy. Another connection may hold the write lock meanwhile: then the copy is the
/// state before its transaction.
Result<std::string> back_up(const std::string& path, const struct stat& status,
                            std::int64_t version, std::chrono::sys_seconds now) {
  auto target = free_name(fmt::format("{}.backup-v{}-{:%Y%m%dT%H%M%SZ}", path, version,
                                      fmt::gmtime(std::chrono::system_clock::to_time_t(now))));
  auto draft = Draft::beside(path, status);
  if (!draft) return fail(std::move(draft).error());
  {
    auto database = Database::open_readonly(path);
    if (!database) return fail(std::move(database).error());
    if (auto copied = database->copy_to(draft->path()); !copied) return fail(copied.error());
  }
  if (auto done = draft->publish(target); !done) return fail(done.error());
  return target;
}

Result<InitOutcome> migrate(const std::string& path, const struct stat& status,
                            std::span<const std::string_view> migrations,
                            std::chrono::sys_seconds now) {
  auto database = Database::open_readwrite(path);
  if (!database) return fail(std::move(database).error());
  const auto newest = static_cast<int>(migrations.size());
  const auto seen = check_identity(*database, migrations.size());
  if (!seen) return fail(seen.error());
  if (seen->version == newest) return InitOutcome{InitOutcome::Kind::UpToDate, newest, newest, {}};

  auto transaction = Transaction::begin(*database);
  if (!transaction) return fail(std::move(transaction).error());
  // Again, now that nobody else can write: somebody may have migrated it meanwhile.
  const auto identity = check_identity(*database, migrations.size());
  if (!identity) return fail(identity.error());
  if (identity->version == newest)
    return InitOutcome{InitOutcome::Kind::UpToDate, newest, newest, {}};
  const auto backup = back_up(path, status, identity->version, now);
  if (!backup) return fail(within("no backup, so nothing was changed", backup.error()));
  const std::string kept = "migration failed, nothing was changed (backup: " + *backup + ")";
  if (auto done = run_migrations(*database, identity->version, migrations); !done)
    return fail(within(kept, std::move(done).error()));
  if (auto done = transaction->commit(); !done) return fail(within(kept, std::move(done).error()));
  return InitOutcome{InitOutcome::Kind::Migrated, static_cast<int>(identity->version), newest,
                     *backup};
}

/// Refuses what must not be opened for writing: SQLite would take an empty file for a new database,
/// and leave side files beside one in WAL mode.
Result<void> check_file(const std::string& path, const struct stat& status) {
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::NotOurs, path + ": is no regular file");
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return system_failure(path);
  std::array<unsigned char, kHeaderBytes> header{};
  const auto size = ::read(file.get(), header.data(), header.size());
  if (size < 0) return system_failure(path);
  return check_header(std::span(header).first(static_cast<std::size_t>(size)), path);
}

}  // namespace

Result<void> check_schema(Database& database) {
  const auto newest = sql::kPolicyMigrations.size();
  const auto identity = check_identity(database, newest);
  if (!identity) return fail(identity.error());
  if (identity->version < static_cast<std::int64_t>(newest))
    return fail(ErrorCode::WrongSchema,
                fmt::format("{0}: has schema {1}, this forcetls needs {2}: run forcetls init "
                            "--policy-db {0}",
                            database.name(), identity->version, newest));
  return {};
}

Result<InitOutcome> init_policy_db(const std::string& path,
                                   std::span<const std::string_view> migrations,
                                   std::chrono::sys_seconds now) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno != ENOENT) return system_failure(path);
    if (auto fine = check_link(path); !fine) return fail(std::move(fine).error());
    return create(path, migrations);
  }
  if (auto fine = check_file(path, status); !fine) return fail(std::move(fine).error());
  return migrate(path, status, migrations, now);
}

Result<InitOutcome> init_policy_db(const std::string& path) {
  using namespace std::chrono;
  return init_policy_db(path, sql::kPolicyMigrations, floor<seconds>(system_clock::now()));
}

}  // namespace forcetls
