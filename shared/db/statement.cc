#include "shared/db/statement.h"

#include <sqlite3.h>

namespace forcetls {

void Statement::Finalize::operator()(sqlite3_stmt* statement) const noexcept {
  ::sqlite3_finalize(statement);
}

Statement::Statement(sqlite3_stmt* statement, std::string name)
    : statement_(statement), name_(std::move(name)) {}

tl::unexpected<Error> Statement::failure() const {
  return fail(last_error(::sqlite3_db_handle(statement_.get()), name_));
}

Result<Statement> Statement::prepare(Database& database, std::string_view sql) {
  sqlite3_stmt* handle = nullptr;
  const int result = ::sqlite3_prepare_v2(database.handle_.get(), sql.data(),
                                          static_cast<int>(sql.size()), &handle, nullptr);
  Statement statement(handle, database.name());
  if (result != SQLITE_OK) return fail(last_error(database.handle_.get(), database.name()));
  if (handle == nullptr) return fail(ErrorCode::Malformed, database.name() + ": no statement");
  return statement;
}

Result<int> Statement::parameter(const char* name) const {
  const int index = ::sqlite3_bind_parameter_index(statement_.get(), name);
  if (index == 0) return fail(ErrorCode::Malformed, name_ + ": no parameter " + name);
  return index;
}

Result<void> Statement::bind_text(const char* name, std::string_view value) {
  const auto index = parameter(name);
  if (!index) return fail(index.error());
  // data() of an empty view may be null, which would bind NULL.
  const char* const text = value.empty() ? "" : value.data();
  if (::sqlite3_bind_text64(statement_.get(), *index, text, value.size(), SQLITE_TRANSIENT,
                            SQLITE_UTF8) != SQLITE_OK)
    return failure();
  return {};
}

Result<void> Statement::bind_int64(const char* name, std::int64_t value) {
  const auto index = parameter(name);
  if (!index) return fail(index.error());
  if (::sqlite3_bind_int64(statement_.get(), *index, value) != SQLITE_OK) return failure();
  return {};
}

Result<bool> Statement::step() {
  switch (::sqlite3_step(statement_.get())) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return failure();
  }
}

void Statement::reset() { ::sqlite3_reset(statement_.get()); }

std::string_view Statement::column_text(int column) const {
  sqlite3_stmt* const row = statement_.get();
  // A text is read in place as a blob: column_text would copy it to put a NUL behind it.
  const bool is_text = ::sqlite3_column_type(row, column) == SQLITE_TEXT;
  const void* const text =
      is_text ? ::sqlite3_column_blob(row, column) : ::sqlite3_column_text(row, column);
  if (text == nullptr) return {};
  const int size = ::sqlite3_column_bytes(statement_.get(), column);
  return {static_cast<const char*>(text), static_cast<std::size_t>(size)};
}

std::int64_t Statement::column_int64(int column) const {
  return ::sqlite3_column_int64(statement_.get(), column);
}

bool Statement::column_is_null(int column) const {
  return ::sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

}  // namespace forcetls
