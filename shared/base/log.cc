#include "shared/base/log.h"

#include <syslog.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

namespace forcetls {
namespace {

struct LevelWords {
  std::string_view name;
  int priority;
};

constexpr std::array<LevelWords, 4> kLevels{
    {{"error", LOG_ERR}, {"warning", LOG_WARNING}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}}};

const LevelWords& words_of(LogLevel level) { return kLevels.at(static_cast<std::size_t>(level)); }

std::string without_controls(std::string_view line) {
  std::string clean(line);
  for (char& c : clean)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return clean;
}

}  // namespace

bool parse_log_level(std::string_view word, LogLevel& level) {
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    if (kLevels.at(i).name != word) continue;
    level = static_cast<LogLevel>(i);
    return true;
  }
  return false;
}

std::string log_word(std::string_view text) {
  constexpr std::size_t kLongest = 254;
  std::string clean(text.substr(0, kLongest));
  for (char& c : clean)
    if (c <= 0x20 || c > 0x7e || c == '"' || c == '=' || c == '@') c = '?';
  return clean.empty() ? "-" : clean;
}

StderrSink::StderrSink(std::string_view program)
    : program_(program), journal_(std::getenv("JOURNAL_STREAM") != nullptr) {}

void StderrSink::write(LogLevel level, std::string_view line) {
  const LevelWords& words = words_of(level);
  const std::string text = journal_
                               ? fmt::format("<{}>{}\n", words.priority, without_controls(line))
                               : fmt::format("{}[{}]: {}: {}\n", program_, ::getpid(), words.name,
                                             without_controls(line));
  // One write(2) per line, so that lines of several threads do not mix. A lost line is no reason
  // to stop.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

SyslogSink::SyslogSink(const char* program) { ::openlog(program, LOG_PID | LOG_NDELAY, LOG_MAIL); }

SyslogSink::~SyslogSink() { ::closelog(); }

void SyslogSink::write(LogLevel level, std::string_view line) {
  const LevelWords& words = words_of(level);
  ::syslog(words.priority, "%s: %s", words.name.data(), without_controls(line).c_str());
}

}  // namespace forcetls
