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

}  // namespace

std::string without_controls(std::string_view line) {
  std::string clean(line);
  for (std::size_t i = 0; i < clean.size(); ++i) {
    const auto byte = static_cast<unsigned char>(clean[i]);
    // U+0080 to U+009F are controls too, and some terminals obey them.
    const bool begins_control = byte == 0xc2 && i + 1 < clean.size() &&
                                static_cast<unsigned char>(clean[i + 1]) - 0x80U < 0x20U;
    if (begins_control) clean[i++] = '?';
    if (byte < 0x20 || byte == 0x7f || begins_control) clean[i] = '?';
  }
  return clean;
}

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
