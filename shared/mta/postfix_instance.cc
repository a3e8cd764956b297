#include "shared/mta/postfix_instance.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "shared/base/subprocess.h"
#include "shared/base/unique_fd.h"
#include "shared/core/ascii.h"

namespace forcetls {
namespace {

constexpr std::chrono::seconds kToolDeadline{30};
constexpr std::chrono::seconds kResolveDeadline{10};

/// The sentence of a Postfix tool without its name and severity, of the last line that has one.
std::string complaint_in(std::string_view printed) {
  // What a server says for itself tells more than what Postfix makes of it.
  constexpr std::string_view kServerSays = "socketmap server temporary error: ";
  if (const auto at = printed.find(kServerSays); at != printed.npos) {
    const auto said = printed.substr(at + kServerSays.size());
    return std::string(said.substr(0, said.find('\n')));
  }
  std::string found;
  while (!printed.empty()) {
    const auto end = std::min(printed.find('\n'), printed.size());
    std::string_view line = printed.substr(0, end);
    printed.remove_prefix(std::min(end + 1, printed.size()));
    const bool is_worse = line.find(": fatal: ") != line.npos;
    for (const std::string_view mark : {": fatal: ", ": error: ", ": warning: "})
      if (const auto at = line.find(mark); at != line.npos) line.remove_prefix(at + mark.size());
    if (!line.empty()) found = line;
    if (is_worse) break;
  }
  return found;
}

/// True if a Postfix tool said no more than warnings: of a parameter that main.cf sets twice, every
/// tool says so each time. What keeps postmap from an answer is fatal to it (postfix: postmap.c).
bool only_warned(std::string_view printed) {
  while (!printed.empty()) {
    const auto end = std::min(printed.find('\n'), printed.size());
    const std::string_view line = printed.substr(0, end);
    printed.remove_prefix(std::min(end + 1, printed.size()));
    if (!line.empty() && line.find(": warning: ") == line.npos) return false;
  }
  return true;
}

/// Lines of "key<TAB>value".
std::vector<TableEntry> entries_in(std::string_view lines) {
  std::vector<TableEntry> entries;
  while (!lines.empty()) {
    const auto end = std::min(lines.find('\n'), lines.size());
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    const auto tab = std::min(line.find_first_of("\t "), line.size());
    entries.push_back(
        {std::string(line.substr(0, tab)), std::string(without_blanks(line.substr(tab)))});
  }
  return entries;
}

/// A relative path would mean another directory to the tools that run in the queue directory.
std::string absolute_directory(const std::string& path) {
  if (path.empty()) return path;
  std::string whole = std::filesystem::absolute(path).lexically_normal().string();
  if (whole.size() > 1 && whole.ends_with('/')) whole.pop_back();
  return whole;
}

}  // namespace

Result<PostfixInstance> PostfixInstance::open(const std::string& config_dir) {
  PostfixInstance instance(absolute_directory(config_dir));
  if (instance.config_directory_.empty()) {
    // Not what main.cf says of it: Postfix itself looks here.
    const char* named = std::getenv("MAIL_CONFIG");
    if (named != nullptr && *named != '\0') return open(named);
    const auto asked = run_command({"postconf", "-dh", "config_directory"}, {});
    if (!asked && asked.error().code == ErrorCode::NotFound)
      return fail(ErrorCode::NotFound, "Postfix is not installed: there is no postconf");
    if (!asked) return fail(asked.error());
    if (asked->status != 0) return fail(ErrorCode::Malformed, complaint_in(asked->err));
    instance.config_directory_ = without_blanks(asked->out);
  }
  std::error_code unreadable;
  const std::string main_cf = instance.config_directory_ + "/main.cf";
  if (!std::filesystem::exists(main_cf, unreadable))
    return fail(ErrorCode::NotFound, main_cf + ": no such file, so no Postfix instance is there");
  const auto queue = instance.postconf({"-xh", "queue_directory"});
  if (!queue) return fail(queue.error());
  instance.queue_directory_ = without_blanks(*queue);
  return instance;
}

Result<std::string> PostfixInstance::postconf(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), {"postconf", "-c", config_directory_});
  auto asked = run_command(arguments, {.deadline = kToolDeadline});
  if (!asked && asked.error().code == ErrorCode::NotFound)
    return fail(ErrorCode::NotFound, "Postfix is not installed: there is no postconf");
  if (!asked) return fail(asked.error());
  if (asked->status == 0) return std::move(asked->out);
  std::string complaint = complaint_in(asked->err);
  if (complaint.find(config_directory_) == complaint.npos)
    complaint.insert(0, config_directory_ + "/main.cf: ");
  return fail(ErrorCode::Malformed, std::move(complaint));
}

Result<PostfixConfig> PostfixInstance::read_config() const {
  PostconfTexts texts;
  const std::pair<std::string*, std::vector<std::string>> questions[] = {
      {&texts.all, {}}, {&texts.set, {"-n"}}, {&texts.fields, {"-F"}}, {&texts.overrides, {"-P"}}};
  for (const auto& [text, arguments] : questions) {
    auto answer = postconf(arguments);
    if (!answer) return fail(answer.error());
    *text = *std::move(answer);
  }
  return PostfixConfig::parse(texts);
}

Result<std::optional<std::string>> PostfixInstance::query(const std::string& table,
                                                          const std::string& key) const {
  // "-" would make postmap read keys from its standard input.
  if (key.empty() || key == "-") return std::nullopt;
  const auto asked = run_command({"postmap", "-c", config_directory_, "-q", key, table},
                                 {.directory = queue_directory_, .deadline = kToolDeadline});
  if (!asked) return fail(asked.error());
  if (asked->status == 0) return std::string(without_blanks(asked->out));
  if (asked->status == 1 && only_warned(asked->err)) return std::nullopt;
  return fail(ErrorCode::System, table + ": " + complaint_in(asked->err));
}

Result<std::map<std::string, std::string>> PostfixInstance::query_all(
    const std::string& table, const std::vector<std::string>& keys) const {
  std::string input;
  for (const std::string& key : keys) input += key + "\n";
  const auto asked =
      run_command({"postmap", "-c", config_directory_, "-q", "-", table},
                  {.input = input, .directory = queue_directory_, .deadline = kToolDeadline});
  if (!asked) return fail(asked.error());
  if (asked->status != 0 && (asked->status != 1 || !only_warned(asked->err)))
    return fail(ErrorCode::System, table + ": " + complaint_in(asked->err));
  std::map<std::string, std::string> answers;
  for (TableEntry& entry : entries_in(asked->out))
    answers.insert_or_assign(std::move(entry.key), std::move(entry.value));
  return answers;
}

Result<std::vector<TableEntry>> PostfixInstance::list(const std::string& table) const {
  const std::string plain = table.starts_with("proxy:") ? table.substr(6) : table;
  const auto asked = run_command({"postmap", "-c", config_directory_, "-s", plain},
                                 {.directory = queue_directory_, .deadline = kToolDeadline});
  if (!asked) return fail(asked.error());
  if (asked->status != 0) return fail(ErrorCode::System, table + ": " + complaint_in(asked->err));
  return entries_in(asked->out);
}

Result<ResolvedRoute> PostfixInstance::resolve(std::string_view sender,
                                               std::string_view address) const {
  return ask_trivial_rewrite(queue_directory_, sender, address, kResolveDeadline);
}

bool PostfixInstance::is_running() const {
  // master(8) keeps a lock on its pid file while it runs.
  const UniqueFd file(::open((queue_directory_ + "/pid/master.pid").c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return false;
  if (::flock(file.get(), LOCK_SH | LOCK_NB) != 0) return errno == EWOULDBLOCK;
  ::flock(file.get(), LOCK_UN);
  return false;
}

}  // namespace forcetls
