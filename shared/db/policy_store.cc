#include "shared/db/policy_store.h"

#include <array>
#include <chrono>

#include "schema/sql.h"
#include "shared/db/database.h"
#include "shared/db/file_mark.h"
#include "shared/db/migrate.h"
#include "shared/db/snapshot.h"
#include "shared/db/statement.h"

namespace forcetls {
namespace {

using PolicyResult = Result<std::shared_ptr<const RuleStore>>;

/// A row that breaks a rule which the database enforces by itself: somebody took its triggers and
/// CHECKs away. Nothing of the file can be trusted then.
tl::unexpected<Error> bad_row(Database& database, const char* table, std::string_view key) {
  return fail(ErrorCode::Corrupt, database.name() + ": " + table + " row '" + std::string(key) +
                                      "' has a value that it cannot have; correct the row");
}

/// The columns of load_domain_policy.sql, in its order.
enum Column {
  kDomain,
  kMode,
  kOutbound,
  kMatch,
  kMinProtocol,
  kCiphers,
  kExclude,
  kTafile,
  kInbound,
  kInboundMatch,
  kMinBits,
  kOnFailure,
  kFallback,
};

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

/// Calls `take` for each row of a query; it answers false for a row that cannot be.
template <class Take>
Result<void> for_each_row(Database& database, const char* table, Statement& statement, Take take) {
  for (;;) {
    const auto row = statement.step();
    if (!row) return fail(row.error());
    if (!*row) return {};
    if (!take(statement)) return bad_row(database, table, statement.column_text(0));
  }
}

Result<void> load_domain_policy(Database& database, SnapshotBuilder& builder) {
  auto statement = Statement::prepare(database, sql::kLoadDomainPolicy);
  if (!statement) return fail(std::move(statement).error());
  return for_each_row(database, "domain_policy", *statement, [&](const Statement& row) {
    const auto rule = rule_in(row);
    return rule && builder.add(*rule);
  });
}

TimePoint time_from(std::int64_t unix_s) { return TimePoint(std::chrono::seconds(unix_s)); }

Result<void> load_suspension(Database& database, SnapshotBuilder& builder) {
  auto statement = Statement::prepare(database, sql::kLoadSuspension);
  if (!statement) return fail(std::move(statement).error());
  // All of them, ended ones too: which are in force is judged at each lookup.
  if (auto bound = statement->bind_int64(":now", 0); !bound) return bound;
  return for_each_row(database, "suspension", *statement, [&](const Statement& row) {
    const auto level = level_from(row.column_text(1));
    if (level != Level::Encrypt && level != Level::May) return false;
    builder.suspend(row.column_text(0), *level, time_from(row.column_int64(2)),
                    time_from(row.column_int64(3)));
    return true;
  });
}

Result<void> load_setting(Database& database, SnapshotBuilder& builder) {
  auto statement = Statement::prepare(database, sql::kLoadSetting);
  if (!statement) return fail(std::move(statement).error());
  return for_each_row(database, "setting", *statement, [&](const Statement& row) {
    return builder.settings().set(row.column_text(0), row.column_text(1));
  });
}

PolicyResult load_from(Database& database) {
  if (auto known = check_schema(database); !known) return fail(std::move(known).error());
  SnapshotBuilder builder;
  for (const auto& load : {load_domain_policy, load_suspension, load_setting})
    if (auto loaded = load(database, builder); !loaded) return fail(std::move(loaded).error());
  return builder.build();
}

tl::unexpected<Error> being_written(const std::string& path) {
  return fail(ErrorCode::Busy, path + ": is being written to");
}

PolicyResult load_with_lock(const std::string& path) {
  auto database = Database::open_readonly(path, std::chrono::milliseconds(0));
  if (!database) return fail(std::move(database).error());
  if (auto begun = database->exec("BEGIN"); !begun) return fail(std::move(begun).error());
  return load_from(*database);
}

/// A writer makes its journal before it touches the file, and raises the change counter before it
/// removes the journal: with neither seen, nobody wrote while we read.
PolicyResult load_without_lock(const std::string& path) {
  const auto before = mark_of(path);
  if (!before) return fail(before.error());
  if (has_journal(path)) return being_written(path);
  auto database = Database::open_unlocked(path);
  auto policy = database ? load_from(*database) : PolicyResult(tl::unexpect, database.error());
  const auto after = mark_of(path);
  if (!after || *after != *before || has_journal(path)) return being_written(path);
  return policy;
}

}  // namespace

PolicyResult load_policy(const std::string& path, Locking locking) {
  auto policy = load_without_lock(path);
  if (!policy && policy.error().code == ErrorCode::Busy && locking == Locking::IfNeeded &&
      has_journal(path))
    return load_with_lock(path);
  return policy;
}

}  // namespace forcetls
