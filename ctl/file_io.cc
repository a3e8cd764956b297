#include "ctl/file_io.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "shared/base/unique_fd.h"

namespace forcetls {
namespace {

constexpr std::size_t kMostBytes = 16U << 20U;

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// `path`, or the file that it points to.
std::string behind_links(const std::string& path) {
  std::error_code missing;
  const auto real = std::filesystem::canonical(path, missing);
  return missing ? path : real.string();
}

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

bool dress(int descriptor, const FileLook& look) {
  if (::fchown(descriptor, look.owner, look.group) != 0) return false;
  if (::fchmod(descriptor, look.mode) != 0) return false;
  if (!look.modified) return true;
  const timespec times[] = {{0, UTIME_NOW}, *look.modified};
  return ::futimens(descriptor, times) == 0;
}

/// Where a file is written before it takes its place. Always the same name: what a crash leaves,
/// the next time takes away.
std::string draft_of(const std::string& target) { return target + ".forcetls-new"; }

}  // namespace

tl::unexpected<Error> file_failure(const std::string& path) {
  const int reason = errno;
  ErrorCode code = ErrorCode::System;
  if (reason == ENOENT || reason == ENOTDIR) code = ErrorCode::NotFound;
  if (reason == EACCES || reason == EPERM || reason == EROFS) code = ErrorCode::Denied;
  return fail(code, path + ": " + std::strerror(reason));
}

Result<std::string> read_file(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) return file_failure(path);
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::System, path + ": is not a file");
  if (static_cast<std::size_t>(status.st_size) > kMostBytes)
    return fail(ErrorCode::TooLong, path + ": is too big");
  std::string bytes(static_cast<std::size_t>(status.st_size) + 1, '\0');
  std::size_t size = 0;
  for (;;) {
    if (size == bytes.size()) bytes.resize(2 * size);
    const ssize_t count = ::read(file.get(), bytes.data() + size, bytes.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return file_failure(path);
    size += static_cast<std::size_t>(count);
    if (size > kMostBytes) return fail(ErrorCode::TooLong, path + ": is too big");
    if (count == 0) break;
  }
  bytes.resize(size);
  return bytes;
}

Result<FileLook> look_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return file_failure(path);
  return FileLook{status.st_uid, status.st_gid, status.st_mode & 07777, status.st_mtim};
}

Result<void> replace_file(const std::string& path, std::string_view content, const FileLook& look) {
  const std::string target = behind_links(path);
  const std::string draft = draft_of(target);
  ::unlink(draft.c_str());
  const UniqueFd file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return file_failure(path);
  const bool written = write_all(file.get(), content) && dress(file.get(), look) &&
                       ::fsync(file.get()) == 0 && ::rename(draft.c_str(), target.c_str()) == 0;
  if (written) return sync_directory(directory_of(target));
  const auto failure = file_failure(path);
  ::unlink(draft.c_str());
  return failure;
}

Result<void> make_directories(const std::string& path, mode_t mode) {
  for (std::size_t slash = 1; slash != path.npos;) {
    slash = path.find('/', slash + 1);
    const std::string part = path.substr(0, slash);
    if (::mkdir(part.c_str(), mode) == 0) {
      if (auto synced = sync_directory(directory_of(part)); !synced) return synced;
    } else if (errno != EEXIST) {
      return file_failure(part);
    }
  }
  return {};
}

Result<void> remove_file(const std::string& path) {
  ::unlink(draft_of(behind_links(path)).c_str());
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return file_failure(path);
  return {};
}

bool is_missing_or_empty(const std::string& path) {
  std::error_code problem;
  if (!std::filesystem::exists(path, problem)) return true;
  return std::filesystem::is_regular_file(path, problem) &&
         std::filesystem::file_size(path, problem) == 0;
}

Result<void> sync_directory(const std::string& path) {
  const UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) return file_failure(path);
  return {};
}

}  // namespace forcetls
