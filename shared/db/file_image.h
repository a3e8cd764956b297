// A database file read whole, as bytes, without any lock: what SQLite's own readers would do takes
// a lock that can make an administrator's sqlite3 shell fail with "database is locked".
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "shared/base/result.h"

namespace forcetls {

/// What changes when a database file is changed, replaced, restored or overwritten: identity,
/// size, times and SQLite's change counter (bytes 24-27 of the file, raised by every commit in
/// rollback mode: https://www.sqlite.org/fileformat2.html).
struct FileMark {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  std::uint32_t change_counter = 0;

  bool operator==(const FileMark&) const = default;
};

/// Errors: NotFound, System.
Result<FileMark> mark_of(const std::string& path);

/// True while a rollback journal lies beside the file that a writer is using, or left when it died
/// (https://www.sqlite.org/lockingv3.html "hot journal"): the file itself may be half-written.
bool has_journal(const std::string& path);

class FileImage {
 public:
  /// Copies the file. Errors: NotFound, System; Busy if it was written to meanwhile or a journal
  /// lies beside it, so that the copy may not be one commit's state.
  static Result<FileImage> read(const std::string& path);

  std::span<unsigned char> bytes() { return {data_.get(), size_}; }

 private:
  std::unique_ptr<unsigned char[]> data_;
  std::size_t size_ = 0;
};

}  // namespace forcetls
