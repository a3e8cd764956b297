#include "shared/db/setting_table.h"

#include <fmt/format.h>

#include "schema/sql.h"
#include "shared/db/database.h"
#include "shared/db/migrate.h"
#include "shared/db/statement.h"

namespace forcetls {

namespace {

Result<Statement> prepare_for_author(Database& database, std::string_view sql,
                                     const std::string& author) {
  auto statement = Statement::prepare(database, sql);
  if (!statement) return statement;
  if (auto bound = statement->bind_text(":name", author); !bound) return fail(bound.error());
  return statement;
}

Result<void> sign(Database& database, const std::string& author) {
  auto statement = prepare_for_author(database, sql::kWriteChangeAuthor, author);
  if (!statement) return fail(std::move(statement).error());
  const auto done = statement->step();
  return done ? Result<void>() : fail(done.error());
}

Result<void> update_all(Database& database, const std::string& path, const SettingTable& values) {
  auto statement = Statement::prepare(database, sql::kUpdateSetting);
  if (!statement) return fail(std::move(statement).error());
  for (const auto& [name, value] : values) {
    if (auto bound = statement->bind_text(":name", name); !bound) return bound;
    if (auto bound = statement->bind_text(":value", value); !bound) return bound;
    const auto found = statement->step();
    if (!found) return fail(found.error());
    const bool is_there = *found;
    statement->reset();  // What is not over cannot be committed.
    // Made by an early build: to go on would be to answer without what main.cf demands.
    if (!is_there)
      return fail(
          ErrorCode::WrongSchema,
          fmt::format("{}: has no setting {}: it is of another version of forcetls", path, name));
  }
  return {};
}

}  // namespace

Result<SettingTable> read_settings(const std::string& path) {
  auto database = Database::open_readonly(path);
  if (!database) return fail(std::move(database).error());
  if (auto known = check_schema(*database); !known) return fail(std::move(known).error());
  auto statement = Statement::prepare(*database, sql::kLoadSetting);
  if (!statement) return fail(std::move(statement).error());
  SettingTable settings;
  for (;;) {
    const auto row = statement->step();
    if (!row) return fail(row.error());
    if (!*row) return settings;
    settings.emplace(statement->column_text(0), statement->column_text(1));
  }
}

Result<std::set<std::string>> settings_written_by(const std::string& path,
                                                  const std::string& author) {
  auto database = Database::open_readonly(path);
  if (!database) return fail(std::move(database).error());
  if (auto known = check_schema(*database); !known) return fail(std::move(known).error());
  auto statement = prepare_for_author(*database, sql::kLoadSettingsWrittenBy, author);
  if (!statement) return fail(std::move(statement).error());
  std::set<std::string> names;
  for (;;) {
    const auto row = statement->step();
    if (!row) return fail(row.error());
    if (!*row) return names;
    names.emplace(statement->column_text(0));
  }
}

Result<void> write_settings(const std::string& path, const SettingTable& values,
                            const std::string& author) {
  auto database = Database::open_readwrite(path);
  if (!database) return fail(std::move(database).error());
  if (auto known = check_schema(*database); !known) return known;
  auto transaction = Transaction::begin(*database);
  if (!transaction) return fail(std::move(transaction).error());
  if (auto done = sign(*database, author); !done) return done;
  if (auto done = update_all(*database, path, values); !done) return done;
  if (auto done = database->exec(sql::kDeleteChangeAuthor); !done) return done;
  return transaction->commit();
}

}  // namespace forcetls
