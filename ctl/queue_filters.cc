#include "ctl/queue_filters.h"

#include <algorithm>
#include <filesystem>

#include "shared/base/subprocess.h"
#include "shared/mta/parameter_text.h"

namespace forcetls {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> queue_files(const std::string& queue_directory) {
  std::vector<fs::path> files;
  for (const char* queue : {"deferred", "hold", "active", "incoming"}) {
    std::error_code problem;
    fs::recursive_directory_iterator entry(fs::path(queue_directory) / queue, problem);
    for (; !problem && entry != fs::recursive_directory_iterator(); entry.increment(problem)) {
      if (files.size() == kMostQueueFiles) return files;
      std::error_code vanished;
      if (entry->is_regular_file(vanished)) files.push_back(entry->path());
    }
  }
  return files;
}

}  // namespace

std::string filter_in(std::string_view envelope) {
  constexpr std::string_view kRecord = "content_filter: ";
  std::string found;
  while (!envelope.empty()) {
    const auto end = std::min(envelope.find('\n'), envelope.size());
    const std::string_view line = envelope.substr(0, end);
    envelope.remove_prefix(std::min(end + 1, envelope.size()));
    if (line.starts_with(kRecord)) found = without_blanks(line.substr(kRecord.size()));
  }
  return found;
}

std::vector<doctor::QueuedFilter> queued_filters(const PostfixInstance& postfix,
                                                 Progress& progress) {
  std::vector<doctor::QueuedFilter> found;
  for (const fs::path& file : queue_files(postfix.queue_directory())) {
    progress.step();
    const auto printed =
        run_command({"postcat", "-c", postfix.config_directory(), "-e", file.string()});
    if (!printed || printed->status != 0) continue;
    if (auto filter = filter_in(printed->out); !filter.empty())
      found.push_back({file.filename().string(), std::move(filter)});
  }
  return found;
}

}  // namespace forcetls
