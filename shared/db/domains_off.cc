#include "shared/db/domains_off.h"

#include "schema/sql.h"
#include "shared/db/database.h"
#include "shared/db/migrate.h"
#include "shared/db/statement.h"

namespace forcetls {

Result<std::set<std::string>> read_domains_off(const std::string& path) {
  auto database = Database::open_readonly(path);
  if (!database) return fail(std::move(database).error());
  if (auto known = check_schema(*database); !known) return fail(std::move(known).error());
  auto statement = Statement::prepare(*database, sql::kLoadDomainsOff);
  if (!statement) return fail(std::move(statement).error());
  std::set<std::string> domains;
  for (;;) {
    const auto row = statement->step();
    if (!row) return fail(row.error());
    if (!*row) return domains;
    domains.emplace(statement->column_text(0));
  }
}

}  // namespace forcetls
