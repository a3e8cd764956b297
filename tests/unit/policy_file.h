// A policy database in a directory of its own, edited as an administrator does: with the stock
// sqlite3 shell.
#pragma once

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "shared/db/migrate.h"

namespace forcetls {

/// Removed with all that lies beside it at the end.
class PolicyFile {
 public:
  PolicyFile() {
    std::string pattern = (std::filesystem::temp_directory_path() / "forcetls-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    directory_ = pattern;
  }
  ~PolicyFile() { std::filesystem::remove_all(directory_); }
  PolicyFile(const PolicyFile&) = delete;
  PolicyFile& operator=(const PolicyFile&) = delete;

  std::string path(const std::string& name = "policy.db") const { return directory_ / name; }

  void init(const std::string& name = "policy.db") const {
    if (const auto made = init_policy_db(path(name)); !made)
      throw std::runtime_error(made.error().context);
  }
  /// True if the shell took it.
  bool sql(const std::string& text, const std::string& name = "policy.db") const {
    return shell("sqlite3 '" + path(name) + "' \"" + text + "\" >/dev/null 2>&1");
  }
  /// True if the command, run in the directory, ended with status 0.
  bool shell(const std::string& command) const {
    return std::system(("cd '" + directory_.string() + "' && " + command).c_str()) == 0;
  }
  void write(const std::string& bytes, const std::string& name = "policy.db") const {
    std::ofstream(path(name), std::ios::binary | std::ios::trunc) << bytes;
  }

 private:
  std::filesystem::path directory_;
};

/// A sqlite3 shell that stays open, in a process of its own: locks of one's own process are no
/// locks, and closing any descriptor of the file lets go of them.
class SqliteShell {
 public:
  SqliteShell(const PolicyFile& file, const std::string& name)
      : file_(file),
        input_(::popen(("sqlite3 '" + file.path(name) + "' >/dev/null 2>&1").c_str(), "w"),
               &::pclose) {
    if (!input_) throw std::runtime_error("popen");
  }
  /// Returns when the shell has carried `text` out, whatever came of it.
  void run(const std::string& text) {
    const std::string done = file_.path("done-" + std::to_string(++number_));
    std::fputs((text + ";\n.shell touch '" + done + "'\n").c_str(), input_.get());
    std::fflush(input_.get());
    while (!std::filesystem::exists(done)) std::this_thread::yield();
  }

 private:
  const PolicyFile& file_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> input_;
  int number_ = 0;
};

/// Looks again and again until `condition` holds; false after `deadline`.
inline bool eventually(const std::function<bool()>& condition,
                       std::chrono::milliseconds deadline = std::chrono::seconds(10)) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace forcetls
