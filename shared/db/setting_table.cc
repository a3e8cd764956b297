#include "shared/db/setting_table.h"

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
    statement->reset();
    if (auto bound = statement->bind_text(":name", name); !bound) return bound;
    if (auto bound = statement->bind_text(":value", value); !bound) return bound;
    if (const auto done = statement->step(); !done) return fail(done.error());
  }
  return transaction->commit();
}

}  // namespace forcetls
