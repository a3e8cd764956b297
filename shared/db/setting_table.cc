#include "shared/db/setting_table.h"

#include <fmt/format.h>

#include "schema/sql.h"
#include "shared/db/database.h"
#include "shared/db/migrate.h"
#include "shared/db/statement.h"

namespace forcetls {

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

Result<void> write_settings(const std::string& path, const SettingTable& values) {
  auto database = Database::open_readwrite(path);
  if (!database) return fail(std::move(database).error());
  if (auto known = check_schema(*database); !known) return known;
  auto transaction = Transaction::begin(*database);
  if (!transaction) return fail(std::move(transaction).error());
  auto statement = Statement::prepare(*database, sql::kUpdateSetting);
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
  return transaction->commit();
}

}  // namespace forcetls
