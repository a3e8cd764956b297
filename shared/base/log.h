// One line per event, "key=value", queue id first where there is one, domain but never a local
// part. Only the edges log: callbacks, connections, main.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace forcetls {

enum class LogLevel { Error, Warning, Info, Debug };

/// "error", "warning", "info" or "debug"; false for other words.
bool parse_log_level(std::string_view word, LogLevel& level);

/// Text from outside as one word of a line: nobody may write fields of his own. "-" if empty.
std::string log_word(std::string_view text);

/// `line` with '?' for each control character: what somebody else wrote must not steer a terminal.
std::string without_controls(std::string_view line);

/// Seam: tests collect the lines. Any thread.
class LogSink {
 public:
  virtual ~LogSink() = default;
  /// `line` without newline; control characters are written as '?'.
  virtual void write(LogLevel level, std::string_view line) = 0;
};

/// Lines to stderr: "forcetls-policyd[1234]: warning: ...". Under systemd with its priority prefix.
class StderrSink final : public LogSink {
 public:
  explicit StderrSink(std::string_view program);
  void write(LogLevel level, std::string_view line) override;

 private:
  std::string program_;
  bool journal_;
};

/// Lines to syslog, facility mail, so that they stand beside those of the MTA.
class SyslogSink final : public LogSink {
 public:
  /// `program` must outlive the sink: openlog(3) keeps the pointer.
  explicit SyslogSink(const char* program);
  ~SyslogSink() override;
  void write(LogLevel level, std::string_view line) override;
};

/// Where a program's lines go, and which are wanted. Copyable handle; the sink must outlive it.
class Log {
 public:
  Log(LogSink& sink, LogLevel most) : sink_(&sink), most_(most) {}

  bool wants(LogLevel level) const { return level <= most_; }

  template <class... Args>
  void error(fmt::format_string<Args...> text, Args&&... args) const {
    put(LogLevel::Error, text, std::forward<Args>(args)...);
  }
  template <class... Args>
  void warning(fmt::format_string<Args...> text, Args&&... args) const {
    put(LogLevel::Warning, text, std::forward<Args>(args)...);
  }
  template <class... Args>
  void info(fmt::format_string<Args...> text, Args&&... args) const {
    put(LogLevel::Info, text, std::forward<Args>(args)...);
  }
  template <class... Args>
  void debug(fmt::format_string<Args...> text, Args&&... args) const {
    put(LogLevel::Debug, text, std::forward<Args>(args)...);
  }

 private:
  template <class... Args>
  void put(LogLevel level, fmt::format_string<Args...> text, Args&&... args) const {
    if (wants(level)) sink_->write(level, fmt::format(text, std::forward<Args>(args)...));
  }

  LogSink* sink_;
  LogLevel most_;
};

}  // namespace forcetls
