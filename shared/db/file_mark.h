// Whether a database file was written to, found out without a lock: a reader's lock, held at the
// wrong moment, makes an administrator's sqlite3 shell fail with "database is locked".
#pragma once

#include <sys/types.h>

#include <cstdint>
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

/// True while a writer holds the file exclusively, as it does from the moment when it begins to
/// change it, whatever its journal_mode (lockingv3.html "EXCLUSIVE"). Asks the kernel, takes no
/// lock.
bool is_locked_exclusively(const std::string& path);

/// True if the journal beside the file is that of a writer that died: nobody holds the lock that
/// comes before a journal (lockingv3.html "RESERVED"). Asks the kernel, takes no lock.
bool has_hot_journal(const std::string& path);

/// `path` with symbolic links resolved: SQLite puts the journal beside the real file.
std::string real_path(const std::string& path);

}  // namespace forcetls
