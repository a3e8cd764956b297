#include "ctl/doctor_facts.h"

#include <grp.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>

#include "ctl/file_io.h"
#include "ctl/live_answers.h"
#include "ctl/progress.h"
#include "ctl/queue_filters.h"
#include "ctl/socket_probe.h"
#include "shared/db/file_mark.h"

namespace forcetls {
namespace {

namespace fs = std::filesystem;
using doctor::HostFacts;
using doctor::Questions;

/// Bytes 18 and 19 of a database: 2 in WAL mode (https://www.sqlite.org/fileformat2.html).
constexpr std::streamoff kWriteVersionOffset = 18;
constexpr char kWalVersion = 2;

bool is_wal(const std::string& path) {
  if (std::error_code none; !fs::is_regular_file(path, none)) return false;  // a pipe would block
  std::ifstream file(path, std::ios::binary);
  file.seekg(kWriteVersionOffset);
  char versions[2] = {};
  file.read(versions, sizeof versions);
  return file && (versions[0] == kWalVersion || versions[1] == kWalVersion);
}

/// True also where it cannot be known: other findings tell of that.
bool only_root_writes(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return true;
  return status.st_uid == 0 && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/// Whether a user may do it, by the mode alone; `bits` as for others, so S_IROTH or S_IXOTH.
bool may(const passwd& user, const std::string& path, mode_t bits) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return true;
  if (status.st_uid == user.pw_uid) return (status.st_mode & (bits << 6)) != 0;
  const group* const of_daemons = ::getgrnam(user.pw_name);  // the units name it
  if (status.st_gid == (of_daemons != nullptr ? of_daemons->gr_gid : user.pw_gid))
    return (status.st_mode & (bits << 3)) != 0;
  return (status.st_mode & bits) != 0;
}

/// The file, or the first directory above, that keeps the daemons from it; empty where nothing
/// does, or where the daemons have no user of their own.
std::string what_hides(const std::string& path) {
  const passwd* const user = ::getpwnam("forcetls");
  if (user == nullptr) return {};
  for (auto slash = path.find('/', 1); slash != path.npos; slash = path.find('/', slash + 1))
    if (std::string above = path.substr(0, slash); !may(*user, above, S_IXOTH)) return above;
  return may(*user, path, S_IROTH) ? std::string() : path;
}

/// What the entries of an access table or of header checks do; nothing: it cannot be read.
std::optional<std::vector<std::string>> actions_of(const PostfixInstance& postfix,
                                                   const std::string& table) {
  const std::string_view plain = std::string_view(table).substr(
      table.starts_with("proxy:") ? std::string_view("proxy:").size() : 0);
  for (const std::string_view type : {"regexp:", "pcre:", "cidr:"})
    if (plain.starts_with(type)) {
      const std::string_view name = plain.substr(type.size());
      auto rules = doctor::inline_rules(name);
      if (rules.empty()) {
        auto text = read_file(std::string(name));
        if (!text) return std::nullopt;
        rules = *std::move(text);
      }
      return doctor::results_in(rules, type == "cidr:");
    }
  auto entries = postfix.list(table);
  if (!entries) return std::nullopt;
  std::vector<std::string> actions;
  for (TableEntry& entry : *entries) actions.push_back(std::move(entry.value));
  return actions;
}

void ask_tables(const PostfixInstance& postfix, const Questions& questions, HostFacts& facts,
                Progress& progress) {
  for (const std::string& table : questions.tables) {
    progress.step();
    if (auto entries = postfix.list(table)) facts.tables.emplace(table, *std::move(entries));
  }
  for (const std::string& table : questions.action_tables) {
    progress.step();
    if (auto actions = actions_of(postfix, table))
      facts.actions.emplace(table, *std::move(actions));
  }
  for (const std::string& table : questions.policy_tables) {
    progress.step();
    if (facts.tables.contains(table)) continue;
    if (auto answers = postfix.query_all(table, questions.keys))
      facts.policy_answers.emplace(table, *std::move(answers));
  }
  for (const std::string& filter : questions.status_filters) {
    progress.step();
    if (const auto answer = postfix.query(filter, std::string(doctor::kStarttlsRefusal)))
      facts.status_answers.emplace(filter, answer->value_or(""));
  }
  for (const std::string& table : questions.our_tables) {
    progress.step();
    if (const auto answer = postfix.query(table, "forcetls-doctor.invalid"); !answer)
      facts.table_failures.emplace(table, answer.error().context);
    else
      facts.live_answers.emplace(
          table, ask_policyd([&](const auto& keys) { return postfix.query_all(table, keys); },
                             questions.keys));
  }
}

/// Tables and files that name this host's own domains.
void ask_domains(const PostfixInstance& postfix, const Questions& questions, HostFacts& facts) {
  for (const std::string& table : questions.domain_tables) {
    if (facts.tables.contains(table)) continue;
    const auto answers = postfix.query_all(table, questions.keys);
    if (!answers) continue;
    std::vector<std::string>& keys = facts.own_keys[table];
    for (const auto& [key, value] : *answers) keys.push_back(key);
  }
  for (const std::string& file : questions.pattern_files)
    if (auto text = read_file(file)) facts.pattern_files.emplace(file, *std::move(text));
}

void ask_sockets(const PostfixInstance& postfix, const PostfixConfig& config,
                 const Questions& questions, HostFacts& facts, Progress& progress) {
  for (const doctor::SocketQuestion& question : questions.sockets) {
    progress.step();
    const SocketProbe probe{.queue_directory = postfix.queue_directory(),
                            .user = config.value("mail_owner"),
                            .address = question.address,
                            .chrooted = question.chrooted};
    std::string why = question.is_milter ? why_no_milter(probe) : why_unreachable(probe);
    if (!why.empty()) facts.socket_failures.emplace(question, std::move(why));
  }
}

void ask_routes(const PostfixInstance& postfix, const std::set<std::string>& addresses,
                HostFacts& facts, Progress& progress) {
  if (!facts.is_running) return;
  bool answers = true;
  for (const std::string& address : addresses) {
    progress.step();
    // A service that does not answer at all would cost its deadline for each address.
    Result<ResolvedRoute> route = fail(ErrorCode::Busy, address);
    if (answers) route = postfix.resolve("", address);
    answers = route || route.error().code == ErrorCode::Malformed;
    if (route) facts.routes.emplace(address, *std::move(route));
  }
}

}  // namespace

std::set<std::string> our_addresses(const Config& config) {
  std::set<std::string> addresses;
  for (const auto* list : {&config.listen_policy, &config.listen_map, &config.listen_milter})
    for (const ListenAddress& address : *list) addresses.insert(address.text());
  return addresses;
}

std::set<std::string> host_addresses() {
  std::set<std::string> addresses;
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return addresses;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> list(first, &::freeifaddrs);
  for (const ifaddrs* one = list.get(); one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    const int family = one->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(one->ifa_addr, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) ==
        0)
      addresses.emplace(text.data());
  }
  std::erase_if(addresses, [](const std::string& text) { return text.find('%') != text.npos; });
  return addresses;
}

doctor::PolicyFile look_at_policy_file(const std::string& path) {
  const std::string real = real_path(path);
  std::error_code problem;
  return {.path = path,
          .is_usual = path == Config{}.policy_db,
          .exists = fs::exists(real, problem),
          .is_wal = is_wal(real),
          .unreadable = what_hides(real),
          .only_root_writes = only_root_writes(real),
          .only_root_writes_directory = only_root_writes(fs::path(real).parent_path())};
}

void gather(const PostfixInstance& postfix, const PostfixConfig& config, const RuleStore& policy,
            const Questions& questions, HostFacts& facts) {
  Progress progress("looking", questions.addresses.size() + questions.tables.size() +
                                   questions.action_tables.size() + questions.policy_tables.size() +
                                   questions.status_filters.size() + questions.our_tables.size() +
                                   questions.sockets.size() + kMostQueueFiles);
  facts.is_running = postfix.is_running();
  ask_tables(postfix, questions, facts, progress);
  ask_domains(postfix, questions, facts);
  ask_sockets(postfix, config, questions, facts, progress);
  auto addresses = doctor::addresses_to_resolve(config, policy, facts);
  addresses.insert(questions.addresses.begin(), questions.addresses.end());
  ask_routes(postfix, addresses, facts, progress);
  for (const std::string& file : questions.files)
    if (is_missing_or_empty(file)) facts.missing_files.insert(file);
  facts.queued_filters = queued_filters(postfix, progress, facts.whole_queue_seen);
}

}  // namespace forcetls
