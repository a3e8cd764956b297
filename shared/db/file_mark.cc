#include "shared/db/file_mark.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "shared/base/unique_fd.h"

namespace forcetls {
namespace {

constexpr off_t kChangeCounterOffset = 24;

bool is_at_or_below(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

/// The first directory on the way to `path` that we may not pass; empty if it is the file itself.
std::string closed_directory(const std::string& path) {
  for (auto slash = path.find('/', 1); slash != path.npos; slash = path.find('/', slash + 1)) {
    std::string directory = path.substr(0, slash);
    if (::access(directory.c_str(), X_OK) != 0) return directory;
  }
  return {};
}

std::string cure_for_closed(const std::string& path) {
  const std::string directory = closed_directory(path);
  if (directory.empty())
    return "; it must be readable for the daemons' group: chgrp forcetls " + path + "; chmod 640 " +
           path;
  for (const std::string_view hidden : {"/home", "/root", "/run/user"})
    if (is_at_or_below(directory, hidden))
      return "; the daemons' units hide " + std::string(hidden) + ": keep it elsewhere";
  const std::string cure =
      directory.ends_with("/forcetls")
          ? "chgrp forcetls " + directory + "; chmod g+rx " + directory
          : "keep the policy elsewhere, or setfacl -m g:forcetls:x " + directory;
  return "; the daemons' group must be able to pass " + directory + ": " + cure;
}

tl::unexpected<Error> failure_with_cure(const std::string& path) {
  const int reason = errno;
  std::string cure;
  if (reason == EACCES) cure = cure_for_closed(path);
  if (reason == ENOENT && (is_at_or_below(path, "/tmp") || is_at_or_below(path, "/var/tmp")))
    cure = "; the daemons' units have a directory of their own for it: keep it elsewhere";
  return fail(reason == ENOENT ? ErrorCode::NotFound : ErrorCode::System,
              path + ": " + std::strerror(reason) + cure);
}

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// 0 for a file that is too short to have one.
std::uint32_t change_counter_of(int descriptor) {
  std::array<unsigned char, 4> bytes{};
  if (::pread(descriptor, bytes.data(), bytes.size(), kChangeCounterOffset) != 4) return 0;
  std::uint32_t counter = 0;
  for (const unsigned char byte : bytes) counter = counter << 8 | byte;
  return counter;
}

Result<UniqueFd> open_file(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return failure_with_cure(path);
  return file;
}

Result<FileMark> mark_of_open(int descriptor, const std::string& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return failure_with_cure(path);
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::NotOurs, path + ": not a file");
  return FileMark{status.st_dev,
                  status.st_ino,
                  status.st_size,
                  nanoseconds(status.st_mtim),
                  nanoseconds(status.st_ctim),
                  change_counter_of(descriptor)};
}

/// Whether somebody else holds a lock on these bytes that keeps readers out.
bool is_write_locked(const std::string& path, off_t first, off_t size) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return false;
  struct flock lock {};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = first;
  lock.l_len = size;
  return ::fcntl(file.get(), F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace

Result<FileMark> mark_of(const std::string& path) {
  const auto file = open_file(path);
  if (!file) return fail(file.error());
  return mark_of_open(file->get(), path);
}

bool has_journal(const std::string& path) {
  // A journal whose first byte is zero is a finished one (journal_mode=PERSIST).
  const UniqueFd journal(::open((path + "-journal").c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!journal) return errno != ENOENT;
  unsigned char first = 0;
  return ::pread(journal.get(), &first, 1, 0) != 1 ? false : first != 0;
}

bool is_locked_exclusively(const std::string& path) {
  // Where SQLite's readers put their lock, and writers the one that keeps them out.
  return is_write_locked(path, 0x40000002, 510);
}

bool has_hot_journal(const std::string& path) {
  // Looked for again: in between its writer may have ended in order.
  return has_journal(path) && !is_write_locked(path, 0x40000001, 1) && has_journal(path);
}

std::string real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                         &std::free);
  return real ? real.get() : path;
}

}  // namespace forcetls
