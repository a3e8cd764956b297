// One prepared statement: bind by name, step, read columns.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "shared/base/result.h"
#include "shared/db/database.h"

struct sqlite3_stmt;

namespace forcetls {

/// Move-only. Must not outlive its Database; same thread.
class Statement {
 public:
  /// `sql` is one statement. Errors: as Database::exec.
  static Result<Statement> prepare(Database& database, std::string_view sql);

  /// `name` with its colon: ":now". The text is copied. Errors: Malformed if there is no such
  /// parameter.
  Result<void> bind_text(const char* name, std::string_view value);
  Result<void> bind_int64(const char* name, std::int64_t value);

  /// True: a row is there to read. False: there is none left. Errors: as Database::exec.
  Result<bool> step();

  /// Back to before the first row; bindings stay.
  void reset();

  /// Columns count from 0. Each works for whatever the column holds: NULL is empty and 0, a number
  /// is its text, text that is no number is 0. A view is good until the next step, reset or
  /// column_* call on the same column. It may hold NUL bytes.
  std::string_view column_text(int column) const;
  std::int64_t column_int64(int column) const;
  bool column_is_null(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };
  Statement(sqlite3_stmt* statement, std::string name);
  Result<int> parameter(const char* name) const;
  tl::unexpected<Error> failure() const;

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  std::string name_;  ///< the Database's, for messages
};

}  // namespace forcetls
