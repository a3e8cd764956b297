// Collects what would have been logged.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/base/log.h"

namespace forcetls {

/// Any thread.
class FakeLogSink final : public LogSink {
 public:
  struct Line {
    LogLevel level;
    std::string text;
  };

  void write(LogLevel level, std::string_view line) override {
    const std::lock_guard lock(mutex_);
    lines_.push_back({level, std::string(line)});
  }

  std::vector<Line> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  /// How many lines have `part` in them.
  std::size_t count(std::string_view part) const {
    const std::lock_guard lock(mutex_);
    std::size_t found = 0;
    for (const Line& line : lines_)
      if (line.text.find(part) != std::string::npos) ++found;
    return found;
  }
  bool has(std::string_view part) const { return count(part) > 0; }
  void clear() {
    const std::lock_guard lock(mutex_);
    lines_.clear();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Line> lines_;
};

}  // namespace forcetls
