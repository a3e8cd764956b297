#include "shared/db/policy_store.h"

#include <chrono>
#include <functional>
#include <limits>
#include <thread>
#include <utility>

#include "schema/sql.h"
#include "shared/db/database.h"
#include "shared/db/file_mark.h"
#include "shared/db/migrate.h"
#include "shared/db/patched_policy.h"
#include "shared/db/snapshot.h"
#include "shared/db/statement.h"

namespace forcetls {
namespace {

/// More changes than this are read no faster than the whole.
constexpr std::size_t kMostChanges = 100'000;

/// How many rows are read between two looks whether the file has changed, so that all is in vain.
constexpr std::size_t kRowsPerLook = 8192;

/// A commit takes milliseconds, and no event tells without a lock when it is done.
constexpr std::chrono::milliseconds kNextTry{5};

/// A row that breaks a rule which the database enforces by itself: somebody took its triggers and
/// CHECKs away. Nothing of the file can be trusted then.
tl::unexpected<Error> bad_row(Database& database, const char* table, std::string_view key) {
  return fail(ErrorCode::Corrupt, database.name() + ": " + table + " row '" + std::string(key) +
                                      "' has a value that it cannot have; correct the row");
}

/// The columns of load_domain_policy.sql, in its order.
constexpr int kDomain = 0, kMode = 1, kOutbound = 2, kMatch = 3, kMinProtocol = 4, kCiphers = 5,
              kExclude = 6, kTafile = 7, kInbound = 8, kInboundMatch = 9, kMinBits = 10,
              kOnFailure = 11, kFallback = 12;

std::optional<Rule> rule_in(const Statement& row) {
  const auto mode = mode_from(row.column_text(kMode));
  const auto level = level_from(row.column_text(kOutbound));
  const auto protocol = protocol_from(row.column_text(kMinProtocol));
  const auto ciphers = grade_from(row.column_text(kCiphers));
  const auto inbound = inbound_level_from(row.column_text(kInbound));
  const auto on_failure = on_failure_from(row.column_text(kOnFailure));
  if (!mode || !level || !protocol || !ciphers || !inbound || !on_failure) return std::nullopt;
  return Rule{.key = row.column_text(kDomain),
              .mode = *mode,
              .outbound = {.level = *level,
                           .match = row.column_text(kMatch),
                           .min_protocol = *protocol,
                           .ciphers = *ciphers,
                           .exclude = row.column_text(kExclude),
                           .tafile = row.column_text(kTafile)},
              .inbound = {.level = *inbound,
                          .match = row.column_text(kInboundMatch),
                          .min_protocol = *protocol,
                          .min_bits = static_cast<int>(row.column_int64(kMinBits))},
              .on_failure = *on_failure,
              .fallback = row.column_text(kFallback)};
}

tl::unexpected<Error> being_written(const std::string& path) {
  const bool died = has_hot_journal(path);
  return fail(ErrorCode::Busy,
              path + ": " + (died ? cure_for_hot_journal(path) : "is being written to"));
}

/// Reads rows into a policy, as long as the file stays what it was.
class Reader {
 public:
  Reader(Database& database, std::function<bool()> is_unchanged)
      : database_(database), is_unchanged_(std::move(is_unchanged)) {}

  /// Calls `take` for each row of a query; it answers false for a row that cannot be.
  template <class Take>
  Result<void> for_each_row(const char* table, Statement& statement, Take take) {
    for (;;) {
      if (++rows_ % kRowsPerLook == 0 && !is_unchanged_()) return being_written(database_.name());
      const auto row = statement.step();
      if (!row) return fail(row.error());
      if (!*row) return {};
      if (!take(statement)) return bad_row(database_, table, statement.column_text(0));
    }
  }
  Database& database() { return database_; }

 private:
  Database& database_;
  std::function<bool()> is_unchanged_;
  std::size_t rows_ = 0;
};

Result<void> load_domain_policy(Reader& reader, SnapshotBuilder& builder) {
  auto statement = Statement::prepare(reader.database(), sql::kLoadDomainPolicy);
  if (!statement) return fail(std::move(statement).error());
  return reader.for_each_row("domain_policy", *statement, [&](const Statement& row) {
    const auto rule = rule_in(row);
    return rule && builder.add(*rule);
  });
}

TimePoint time_from(std::int64_t unix_s) { return TimePoint(std::chrono::seconds(unix_s)); }

Result<void> load_suspension(Reader& reader, SnapshotBuilder& builder) {
  auto statement = Statement::prepare(reader.database(), sql::kLoadSuspension);
  if (!statement) return fail(std::move(statement).error());
  // All of them, ended ones too: which are in force is judged at each lookup.
  if (auto bound = statement->bind_int64(":now", 0); !bound) return bound;
  return reader.for_each_row("suspension", *statement, [&](const Statement& row) {
    const auto level = level_from(row.column_text(1));
    if (level != Level::Encrypt && level != Level::May) return false;
    builder.suspend(row.column_text(0), *level, time_from(row.column_int64(2)),
                    time_from(row.column_int64(3)));
    return true;
  });
}

Result<void> load_setting(Reader& reader, SnapshotBuilder& builder) {
  auto statement = Statement::prepare(reader.database(), sql::kLoadSetting);
  if (!statement) return fail(std::move(statement).error());
  return reader.for_each_row("setting", *statement, [&](const Statement& row) {
    return builder.settings().set(row.column_text(0), row.column_text(1));
  });
}

/// The newest entry of policy_change up to number `seq`, with those before it that tell one history
/// from another; number 0 if there is none.
Result<ChangeMark> change_mark(Database& database, std::int64_t seq) {
  auto statement = Statement::prepare(database, sql::kLoadChange);
  if (!statement) return fail(std::move(statement).error());
  if (auto bound = statement->bind_int64(":seq", seq); !bound) return fail(bound.error());
  ChangeMark mark;
  for (;;) {
    const auto found = statement->step();
    if (!found) return fail(found.error());
    if (!*found) return mark;
    if (mark.entries.empty()) mark.seq = statement->column_int64(0);
    for (int column = 0; column <= 5; ++column)
      mark.entries.append(statement->column_text(column)).append(1, '\0');
  }
}

Result<KeySet> changed_keys(Reader& reader, std::int64_t since) {
  auto statement = Statement::prepare(reader.database(), sql::kLoadChangedKey);
  if (!statement) return fail(std::move(statement).error());
  if (auto bound = statement->bind_int64(":seq", since); !bound) return fail(bound.error());
  KeySet keys;
  auto read = reader.for_each_row("policy_change", *statement, [&](const Statement& row) {
    keys.emplace(row.column_text(0));
    return keys.size() <= kMostChanges;
  });
  if (read) return keys;
  if (keys.size() > kMostChanges) return fail(ErrorCode::TooLong, "too many changes");
  return fail(std::move(read).error());
}

Result<void> load_rows(Reader& reader, const KeySet& keys, SnapshotBuilder& builder) {
  auto statement = Statement::prepare(reader.database(), sql::kFindDomainPolicy);
  if (!statement) return fail(std::move(statement).error());
  for (const std::string& key : keys) {
    statement->reset();
    if (auto bound = statement->bind_text(":domain", key); !bound) return bound;
    auto read = reader.for_each_row("domain_policy", *statement, [&](const Statement& row) {
      const auto rule = rule_in(row);
      return rule && builder.add(*rule);
    });
    if (!read) return read;
  }
  return {};
}

Result<LoadedPolicy> load_all(Reader& reader) {
  if (auto known = check_schema(reader.database()); !known) return fail(std::move(known).error());
  auto newest = change_mark(reader.database(), std::numeric_limits<std::int64_t>::max());
  if (!newest) return fail(std::move(newest).error());
  SnapshotBuilder builder;
  for (const auto& load : {load_domain_policy, load_suspension, load_setting})
    if (auto loaded = load(reader, builder); !loaded) return fail(std::move(loaded).error());
  return LoadedPolicy{builder.build(), *std::move(newest)};
}

Result<std::shared_ptr<const RuleStore>> load_patch(Reader& reader, const LoadedPolicy& before) {
  if (auto known = check_schema(reader.database()); !known) return fail(std::move(known).error());
  const auto then = change_mark(reader.database(), before.newest.seq);
  if (!then) return fail(then.error());
  if (*then != before.newest)
    return fail(ErrorCode::WrongSchema, "policy_change has another history");
  auto keys = changed_keys(reader, before.newest.seq);
  if (!keys) return fail(std::move(keys).error());
  SnapshotBuilder builder;
  if (auto loaded = load_rows(reader, *keys, builder); !loaded) return fail(loaded.error());
  for (const auto& load : {load_suspension, load_setting})
    if (auto loaded = load(reader, builder); !loaded) return fail(std::move(loaded).error());
  return std::make_shared<PatchedPolicy>(before.rows, builder.build(), *std::move(keys));
}

/// For where it does not go without. Beside a hot journal a lock is of no use to us, and turns away
/// the shell that mends the file: "database is locked".
Result<LoadedPolicy> load_with_lock(const std::string& path) {
  if (has_hot_journal(real_path(path)))
    return fail(ErrorCode::Busy, path + ": " + cure_for_hot_journal(path));
  auto database = Database::open_readonly(path, std::chrono::milliseconds(0));
  if (!database) return fail(std::move(database).error());
  if (auto begun = database->exec("BEGIN"); !begun) return fail(std::move(begun).error());
  Reader reader(*database, [] { return true; });
  return load_all(reader);
}

/// Has `load` read the file as it stands, and throws away what it read if somebody wrote meanwhile.
/// A writer locks the file and makes its journal before it touches it, and raises the change
/// counter before it removes them: with nothing of that seen, nobody wrote.
template <class Load>
auto load_without_lock(const std::string& named, Load load)
    -> decltype(load(std::declval<Reader&>())) {
  const std::string path = real_path(named);
  const auto before = mark_of(path);
  if (!before) return fail(before.error());
  const auto is_unchanged = [&] {
    const auto now = mark_of(path);
    return now && *now == *before && !has_journal(path) && !is_locked_exclusively(path);
  };
  if (!is_unchanged()) return being_written(path);
  auto database = Database::open_unlocked(path);
  if (!database && is_unchanged()) return fail(std::move(database).error());
  if (!database) return being_written(path);
  Reader reader(*database, is_unchanged);
  auto loaded = load(reader);
  if (!is_unchanged()) return being_written(path);
  return loaded;
}

}  // namespace

Result<LoadedPolicy> load_policy(const std::string& path, Locking locking) {
  const auto begin = std::chrono::steady_clock::now();
  for (;;) {
    auto policy = load_without_lock(path, load_all);
    const bool busy = !policy && policy.error().code == ErrorCode::Busy;
    if (!busy || locking == Locking::Never) return policy;
    if (locking == Locking::AtOnce || std::chrono::steady_clock::now() - begin > kLockPatience)
      return load_with_lock(path);
    std::this_thread::sleep_for(kNextTry);
  }
}

Result<std::shared_ptr<const RuleStore>> load_changes(const std::string& path,
                                                      const LoadedPolicy& before) {
  return load_without_lock(path, [&](Reader& reader) { return load_patch(reader, before); });
}

}  // namespace forcetls
