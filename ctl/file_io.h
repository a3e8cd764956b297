// Whole files, read and replaced so that a crash at any moment leaves the old one or the new one.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>

#include "shared/base/result.h"

namespace forcetls {

/// The bytes of a regular file. Errors: NotFound, Denied, TooLong above 16 MiB, System.
Result<std::string> read_file(const std::string& path);

/// Whether nothing is there, or a regular file without a byte.
bool is_missing_or_empty(const std::string& path);

/// What a file gets besides its bytes.
struct FileLook {
  uid_t owner = 0;
  gid_t group = 0;
  mode_t mode = 0644;
  std::optional<timespec> modified{};  ///< nothing: now
};

/// Errors: as read_file.
Result<FileLook> look_of(const std::string& path);

/// Replaces `path` (what a symbolic link points to) at once, or creates it. Durable once it
/// returns. Errors: NotFound: no such directory. Denied, System.
Result<void> replace_file(const std::string& path, std::string_view content, const FileLook& look);

/// Makes `path`, and the directories above it that are missing. Errors: Denied, System.
Result<void> make_directories(const std::string& path, mode_t mode);

/// Removes a file if it is there, and what a broken-off replace_file left of it. Errors: Denied,
/// System.
Result<void> remove_file(const std::string& path);

/// What happened to the names in a directory is durable once it returns.
Result<void> sync_directory(const std::string& path);

/// The failure that errno tells, with the path before it.
tl::unexpected<Error> file_failure(const std::string& path);

}  // namespace forcetls
