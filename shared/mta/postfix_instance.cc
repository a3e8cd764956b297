#include "shared/mta/postfix_instance.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "shared/base/subprocess.h"
#include "shared/base/unique_fd.h"
#include "shared/core/ascii.h"
#include "shared/mta/attribute_protocol.h"

namespace forcetls {
namespace {

constexpr std::chrono::seconds kToolDeadline{30};
constexpr time_t kResolveDeadlineSeconds = 10;
constexpr std::size_t kMostReplyBytes = 65536;
/// Bits of trivial-rewrite's last `flags` (postfix: resolve_clnt.h).
constexpr int kResolveError = 1 << 2;
constexpr int kResolveFail = 1 << 3;
/// The sentence of a Postfix tool without its name and severity, of the last line that has one.
std::string complaint_in(std::string_view printed) {
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

/// A connection to a socket in a directory that may have a longer path than an address can hold.
Result<UniqueFd> connect_to(const std::string& directory, const std::string& name) {
  const UniqueFd folder(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return fail(ErrorCode::System, directory + ": " + std::strerror(errno));
  UniqueFd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection) return fail(ErrorCode::System, std::strerror(errno));
  const std::string path = "/proc/self/fd/" + std::to_string(folder.get()) + "/" + name;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const timeval deadline{kResolveDeadlineSeconds, 0};
  ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
  ::setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
  if (::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail(errno == ENOENT || errno == ECONNREFUSED ? ErrorCode::NotFound : ErrorCode::System,
                directory + "/" + name + ": " + std::strerror(errno));
  return connection;
}

/// One message of the service. `buffer` keeps what came after it.
Result<Attributes> read_message(const UniqueFd& connection, std::string& buffer) {
  while (true) {
    std::string_view bytes = buffer;
    auto message = take_attributes(bytes);
    if (message) {
      buffer.erase(0, buffer.size() - bytes.size());
      return message;
    }
    std::array<char, 4096> chunk{};
    const ssize_t count = ::read(connection.get(), chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(ErrorCode::Busy, "trivial-rewrite does not answer");
    if (count == 0 || buffer.size() > kMostReplyBytes)
      return fail(ErrorCode::System, "trivial-rewrite closed the connection");
    buffer.append(chunk.data(), static_cast<std::size_t>(count));
  }
}

Result<ResolvedRoute> route_in(const Attributes& reply, std::string_view address) {
  const int flags = number_in(attribute(reply, "flags"));
  ResolvedRoute route{std::string(attribute(reply, "transport")),
                      std::string(attribute(reply, "nexthop"))};
  if ((flags & (kResolveError | kResolveFail)) != 0 || route.transport.empty())
    return fail(ErrorCode::Malformed, std::string(address) + ": Postfix cannot resolve it now");
  return route;
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
    const auto asked = run_command({"postconf", "-h", "config_directory"}, {});
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
  const auto connection = connect_to(queue_directory_ + "/private", "rewrite");
  if (!connection) return fail(connection.error());
  const std::string request = to_attribute_bytes(
      {{"request", "resolve"}, {"sender", std::string(sender)}, {"address", std::string(address)}});
  if (::send(connection->get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size()))
    return fail(ErrorCode::System, "trivial-rewrite does not read");
  std::string buffer;
  auto reply = read_message(*connection, buffer);
  // Postfix 3.6 and later name the protocol before anything else.
  if (reply && !attribute(*reply, "protocol").empty()) reply = read_message(*connection, buffer);
  if (!reply) return fail(reply.error());
  return route_in(*reply, address);
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
