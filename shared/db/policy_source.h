// The policy that is in force, kept current: a worker thread watches the database file and swaps
// in a new Snapshot after each commit. Never takes a lock on the file while a policy is in force,
// so the stock sqlite3 shell never finds it locked by us.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "shared/base/log.h"
#include "shared/base/result.h"
#include "shared/core/rule_store.h"
#include "shared/db/file_mark.h"

namespace forcetls {

/// Thread-safe after construction. Holds the last committed policy while the file is locked,
/// half-written, gone or garbage, and says so in the log.
class PolicySource {
 public:
  /// Loads once (a failure is logged, not thrown: every answer is then TEMP) and starts watching.
  PolicySource(std::string path, Log log);
  ~PolicySource();
  PolicySource(const PolicySource&) = delete;
  PolicySource& operator=(const PolicySource&) = delete;

  /// The policy of the last commit that could be read; null if none could be since the start.
  std::shared_ptr<const RuleStore> current() const;

  /// Rises by one with every policy that is swapped in. For callers that cache current().
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

 private:
  struct Watched;
  void watch();
  void look();
  void nothing_new(const FileMark& mark);
  bool is_starving() const;
  bool take_up_changes(const FileMark& mark);
  void take_up_all(const FileMark& mark);
  void take_over(std::shared_ptr<const RuleStore> policy);
  void recovered(const FileMark& mark, std::string_view how);
  void failed(const Error& error, const std::optional<FileMark>& seen);

  const std::string path_;
  const Log log_;
  std::unique_ptr<Watched> watched_;
  std::atomic<std::uint64_t> generation_{0};
  mutable std::mutex mutex_;
  std::shared_ptr<const RuleStore> current_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread worker_;
};

}  // namespace forcetls
