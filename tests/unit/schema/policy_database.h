// A policy database in memory, and what the tests of the schema ask it.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "schema/sql.h"
#include "shared/db/database.h"
#include "shared/db/statement.h"

namespace forcetls {

class PolicyDatabase {
 public:
  PolicyDatabase() : database_(Database::in_memory().value()) {
    for (const auto migration : sql::kPolicyMigrations) must(migration);
  }

  Database& get() { return database_; }

  void must(std::string_view sql) {
    if (const auto done = database_.exec(sql); !done)
      throw std::runtime_error(std::string(sql) + ": " + done.error().context);
  }

  /// What the sqlite3 shell would print; empty if the statement was taken.
  std::string sentence(const std::string& sql) {
    const auto done = database_.exec(sql);
    if (done) return {};
    return done.error().context.substr(database_.name().size() + 2);
  }

  /// The rows, columns separated by '|'; NULL is "-".
  std::vector<std::string> rows(std::string_view sql, int columns = 1) {
    auto query = Statement::prepare(database_, sql).value();
    std::vector<std::string> found;
    while (query.step().value()) {
      std::string& row = found.emplace_back();
      for (int i = 0; i < columns; ++i) {
        if (i > 0) row += '|';
        row += query.column_is_null(i) ? "-" : std::string(query.column_text(i));
      }
    }
    return found;
  }

  std::string value(std::string_view sql) { return rows(sql).at(0); }

  /// Everything people can write, and the log.
  std::string content() {
    return value(
        "SELECT (SELECT json_group_array(json_array(domain, mode, outbound, match, min_protocol, "
        "ciphers, exclude, tafile, inbound, inbound_match, min_bits, on_failure, fallback, "
        "contact, reference, note)) FROM domain_policy)"
        "|| (SELECT json_group_array(json_array(id, domain, level, starts_at, ends_at, reason, "
        "approved_by)) FROM suspension)"
        "|| (SELECT json_group_array(json_array(name, value, description)) FROM setting)"
        "|| (SELECT json_group_array(json_array(seq, at, changed_by, table_name, key, old, new)) "
        "FROM policy_change)");
  }

 private:
  Database database_;
};

/// The statement plain, OR IGNORE and OR REPLACE; only plain if it is no INSERT or UPDATE.
inline std::vector<std::string> conflict_variants(const std::string& sql) {
  std::vector<std::string> variants{sql};
  for (const std::string verb : {"INSERT", "UPDATE"})
    if (sql.starts_with(verb + " "))
      for (const std::string clause : {" OR IGNORE", " OR REPLACE"})
        variants.push_back(verb + clause + sql.substr(verb.size()));
  return variants;
}

}  // namespace forcetls
