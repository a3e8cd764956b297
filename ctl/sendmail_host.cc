#include "ctl/sendmail_host.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>

#include "ctl/file_io.h"
#include "ctl/progress.h"
#include "ctl/socketmap_client.h"
#include "shared/base/subprocess.h"
#include "shared/mta/parameter_text.h"
#include "shared/mta/sendmail_ruleset.h"

namespace forcetls {
namespace {

namespace fs = std::filesystem;
constexpr std::chrono::seconds kToolDeadline{30};
constexpr const char* kBehindFeatures = "OS Defines:";
constexpr const char* kPostfixConfiguration = "/etc/postfix/main.cf";

/// A directory on the way to the socket that Sendmail takes offence at (sendmail: safedirpath());
/// empty: none. Others may write to a directory with the sticky bit, as to /tmp, where Debian's
/// Sendmail trusts that bit.
std::string unsafe_directory(const std::string& socket) {
  for (fs::path directory = fs::path(socket).parent_path();; directory = directory.parent_path()) {
    struct stat status {};
    const bool known = ::stat(directory.c_str(), &status) == 0;
    const bool others_write = (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    if (known && others_write && (status.st_mode & S_ISVTX) == 0) return directory.string();
    if (directory == directory.parent_path()) return {};
  }
}

std::vector<TableEntry> read_table(const std::string& table) {
  const auto blank = table.find(' ');
  const std::string type = table.substr(0, blank);
  if (blank == table.npos || type == "socket") return {};
  const std::string path = table.substr(blank + 1);
  const auto listed = run_command({"makemap", "-u", type, path}, {.deadline = kToolDeadline});
  if (listed && listed->status == 0) return access_entries_in(listed->out);
  const auto source = read_file(path);
  return source ? access_entries_in(*source) : std::vector<TableEntry>();
}

/// True if the daemon that runs had begun before the file was written. It writes its pid file when
/// it begins, also after a SIGHUP.
bool is_newer_than_daemon(const SendmailConfig& config, const std::string& cf) {
  const std::string pid_file = config.option("PidFile").value_or("/var/run/sendmail.pid");
  const auto text = read_file(pid_file);
  if (!text) return false;
  const int pid = std::atoi(text->c_str());
  struct stat started {
  }, written{};
  if (pid <= 1 || ::kill(pid, 0) != 0 || ::stat(pid_file.c_str(), &started) != 0) return false;
  const auto when = [](const struct stat& file) {
    return std::pair(file.st_mtim.tv_sec, file.st_mtim.tv_nsec);
  };
  return ::stat(cf.c_str(), &written) == 0 && when(written) > when(started);
}

/// Who Sendmail becomes, by "smmta" or "smmta:smmsp"; nothing if it stays root.
struct RunAs {
  std::string name;
  uid_t user;
  gid_t group;
};
std::optional<RunAs> run_as(const SendmailConfig& config) {
  const std::string option = config.option("RunAsUser").value_or("");
  const std::string name = option.substr(0, option.find_first_of(":."));
  const bool is_number = name.find_first_not_of("0123456789") == name.npos;
  const passwd* user = name.empty() ? nullptr
                       : is_number  ? ::getpwuid(static_cast<uid_t>(std::atol(name.c_str())))
                                    : ::getpwnam(name.c_str());
  if (user == nullptr || user->pw_uid == 0) return std::nullopt;
  RunAs who{user->pw_name, user->pw_uid, user->pw_gid};
  const group* named =
      name.size() == option.size() ? nullptr : ::getgrnam(option.substr(name.size() + 1).c_str());
  if (named != nullptr) who.group = named->gr_gid;
  return who;
}

bool is_member(const RunAs& who, gid_t id) {
  if (id == who.group) return true;
  const group* entry = ::getgrgid(id);
  if (entry == nullptr) return false;
  for (char** name = entry->gr_mem; *name != nullptr; ++name)
    if (who.name == *name) return true;
  return false;
}

/// As Sendmail looks before it connects (sendmail: safefile()): to read and to write.
bool may_open(const RunAs& who, const std::string& socket) {
  struct stat status {};
  if (::stat(socket.c_str(), &status) != 0) return true;  // that it is not there is said elsewhere
  const mode_t wanted = S_IROTH | S_IWOTH;
  const unsigned shift = status.st_uid == who.user ? 6 : is_member(who, status.st_gid) ? 3 : 0;
  return (status.st_mode >> shift & wanted) == wanted;
}

void ask_sendmail_sockets(const doctor::SendmailQuestions& questions,
                          doctor::SendmailFacts& facts) {
  for (const std::string& address : questions.sockets) {
    if (address.starts_with("unix:"))
      if (auto directory = unsafe_directory(address.substr(5)); !directory.empty())
        facts.unsafe_directories.emplace(address, std::move(directory));
    // No question at all: it is enough that somebody accepts.
    if (const auto reached = look_up(address, std::string(kSendmailMap), {}); !reached)
      facts.socket_failures.emplace(address, reached.error().context);
  }
  if (questions.map_address.empty() || facts.socket_failures.contains(questions.map_address))
    return;
  auto answers = look_up(questions.map_address, std::string(kSendmailMap), questions.keys);
  if (answers)
    facts.answers = *std::move(answers);
  else
    facts.socket_failures.emplace(questions.map_address, answers.error().context);
}

}  // namespace

SendmailProgram program_in(std::string_view printed) {
  constexpr std::string_view kVersion = "Version ";
  constexpr std::string_view kCompiled = "Compiled with:";
  SendmailProgram program;
  const auto at = printed.find(kVersion);
  if (at == printed.npos) return program;
  printed.remove_prefix(at + kVersion.size());
  program.version = printed.substr(0, printed.find_first_of(" \t\r\n"));
  const auto compiled = printed.find(kCompiled);
  if (compiled == printed.npos) return program;
  printed.remove_prefix(compiled + kCompiled.size());
  // The next list is introduced as "    OS Defines: ...".
  const std::string_view list = printed.substr(0, printed.find(':'));
  for (std::string& word : split_list(list)) program.features.insert(std::move(word));
  return program;
}

SendmailProgram ask_sendmail(const std::string& program, const std::string& cf) {
  // Then it looks for the name of this host, for a minute where that is not qualified.
  const auto asked = run_command({program, "-C", cf, "-d0.13", "-bt"},
                                 {.deadline = kToolDeadline, .enough = kBehindFeatures});
  return asked ? program_in(asked->out) : SendmailProgram{};
}

std::vector<TableEntry> access_entries_in(std::string_view text) {
  std::vector<TableEntry> entries;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = without_blanks(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    const auto blank = std::min(line.find_first_of(" \t"), line.size());
    entries.push_back(
        {std::string(line.substr(0, blank)), std::string(without_blanks(line.substr(blank)))});
  }
  return entries;
}

void gather_sendmail(const SendmailConfig& config, const doctor::SendmailQuestions& questions,
                     doctor::SendmailFacts& facts) {
  Progress progress("looking", 3);
  ask_sendmail_sockets(questions, facts);
  if (const auto who = run_as(config))
    for (const std::string& address : questions.sockets)
      if (address.starts_with("unix:") && !may_open(*who, address.substr(5)))
        facts.closed_sockets.emplace(address, who->name);
  progress.step();
  for (const std::string& file : questions.files)
    if (is_missing_or_empty(file)) facts.missing_files.insert(file);
  facts.access = read_table(questions.access_table);
  for (const auto& [name, table] : questions.tables) facts.tables[name] = read_table(table);
  progress.step();
  facts.is_newer_than_daemon = is_newer_than_daemon(config, facts.files.cf);
}

doctor::SendmailFiles sendmail_files(const SendmailOptions& options) {
  doctor::SendmailFiles files;
  if (!options.cf.empty())
    files.cf = options.cf;
  else if (options.mc.ends_with(".mc"))
    files.cf = options.mc.substr(0, options.mc.size() - 3) + ".cf";
  files.mc_path = options.mc;
  files.submit_cf = fs::path(files.cf).replace_filename("submit.cf").string();
  return files;
}

Mta mta_of(const SendmailOptions& options, const std::string& config_dir) {
  if (!options.mta.empty()) return options.mta == "sendmail" ? Mta::Sendmail : Mta::Postfix;
  if (!config_dir.empty()) return Mta::Postfix;
  if (!options.mc.empty() || !options.cf.empty()) return Mta::Sendmail;
  std::error_code unreadable;
  const bool only_sendmail = !fs::exists(kPostfixConfiguration, unreadable) &&
                             fs::exists(doctor::SendmailFiles{}.cf, unreadable);
  return only_sendmail ? Mta::Sendmail : Mta::Postfix;
}

}  // namespace forcetls
