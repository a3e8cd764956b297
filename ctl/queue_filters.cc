#include "ctl/queue_filters.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>

#include "shared/mta/parameter_text.h"

namespace forcetls {
namespace {

namespace fs = std::filesystem;

/// More records, or longer ones, than an envelope has: the file is not Postfix's.
constexpr int kMostRecords = 1'000'000;
constexpr std::size_t kLongestRecord = 100'000;

/// Types of records (postfix: rec_type.h).
constexpr char kSize = 'C', kFilter = 'L', kPointer = 'p', kEnd = 'E';

struct Record {
  char type = 0;
  std::string text{};
};

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

/// A type, a length in groups of seven bits, the lowest first, and so many bytes (postfix:
/// record.c).
std::optional<Record> read_record(std::FILE* file) {
  Record record{static_cast<char>(std::fgetc(file))};
  std::size_t size = 0;
  for (unsigned shift = 0;; shift += 7) {
    const int byte = std::fgetc(file);
    if (byte == EOF || shift > 28) return std::nullopt;
    size |= static_cast<std::size_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) break;
  }
  if (size > kLongestRecord) return std::nullopt;
  record.text.resize(size);
  if (std::fread(record.text.data(), 1, size, file) != size) return std::nullopt;
  return record;
}

/// Where the message's text lies, which is not read.
struct Content {
  long size = 0, begin = 0;

  static Content parse(const std::string& record) {
    Content content;
    char* rest = nullptr;
    content.size = std::strtol(record.c_str(), &rest, 10);
    content.begin = std::strtol(rest, nullptr, 10);
    return content;
  }
};

/// The way that qmgr takes through the file (postfix: qmgr_message.c, qmgr_message_read).
std::string last_filter(std::FILE* file) {
  std::string filter;
  Content content;
  for (int count = 0; count < kMostRecords; ++count) {
    if (content.begin > 0 && std::ftell(file) == content.begin)
      std::fseek(file, content.size, SEEK_CUR);
    const auto record = read_record(file);
    if (!record || record->type == kEnd) break;
    if (record->type == kSize && content.begin == 0) content = Content::parse(record->text);
    if (record->type == kFilter) filter = without_blanks(record->text);
    const long target =
        record->type == kPointer ? std::strtol(record->text.c_str(), nullptr, 10) : 0;
    if (target > 0) std::fseek(file, target, SEEK_SET);
  }
  return filter;
}

/// What else lies there is none of Postfix's (postfix: mail_queue.c, mail_queue_id_ok), and its
/// name would become part of a command that doctor proposes.
bool is_queue_id(const std::string& name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  });
}

std::vector<fs::path> queue_files(const std::string& queue_directory, bool& all_seen) {
  std::vector<fs::path> files;
  all_seen = true;
  for (const char* queue : {"deferred", "hold", "active", "incoming"}) {
    std::error_code problem;
    fs::recursive_directory_iterator entry(fs::path(queue_directory) / queue, problem);
    for (; !problem && entry != fs::recursive_directory_iterator(); entry.increment(problem)) {
      std::error_code vanished;
      if (!is_queue_id(entry->path().filename()) || !entry->is_regular_file(vanished)) continue;
      all_seen = files.size() < kMostQueueFiles;
      if (!all_seen) return files;
      files.push_back(entry->path());
    }
  }
  return files;
}

}  // namespace

std::string filter_in_queue_file(const std::string& path) {
  // The directories are user postfix's own: he may have put anything there.
  const int opened = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (opened < 0) return {};
  const File file(::fdopen(opened, "r"), std::fclose);
  struct stat status {};
  if (!file || ::fstat(opened, &status) != 0 || !S_ISREG(status.st_mode)) return {};
  return last_filter(file.get());
}

std::vector<doctor::QueuedFilter> queued_filters(const PostfixInstance& postfix, Progress& progress,
                                                 bool& all_seen) {
  std::vector<doctor::QueuedFilter> found;
  for (const fs::path& file : queue_files(postfix.queue_directory(), all_seen)) {
    progress.step();
    if (auto filter = filter_in_queue_file(file); !filter.empty())
      found.push_back({file.filename().string(), std::move(filter)});
  }
  return found;
}

}  // namespace forcetls
