#include "shared/db/policy_source.h"

#include <pthread.h>

#include <chrono>
#include <csignal>
#include <optional>

#include "shared/db/file_mark.h"
#include "shared/db/policy_store.h"

namespace forcetls {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// How often the file is looked at: one open, fstat and pread, and no lock.
constexpr std::chrono::milliseconds kLookInterval{10};
/// After a failure that is not just a writer at work.
constexpr std::chrono::milliseconds kRetryInterval{1000};
/// A commit takes milliseconds. What takes longer is worth a line in the log.
constexpr std::chrono::seconds kPatience{2};
constexpr std::chrono::seconds kReminderInterval{60};
/// After a change the whole file is read again once nobody has changed it for so long: what the
/// changes alone said is then confirmed, and what no trigger has written down is found.
constexpr std::chrono::milliseconds kQuietTime{100};

auto milliseconds_since(SteadyClock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(SteadyClock::now() - begin).count();
}

}  // namespace

/// What the worker remembers of the file. Only the worker uses it, once it runs.
struct PolicySource::Watched {
  std::optional<FileMark> in_force;   ///< the file as it was when the policy in force was read
  std::optional<LoadedPolicy> whole;  ///< what was read when the whole file was read last
  std::optional<SteadyClock::time_point> whole_due;  ///< when to read it again
  std::optional<FileMark> tried;                     ///< as it was at the last failure
  SteadyClock::time_point failing_since{};
  std::optional<SteadyClock::time_point> written_since;  ///< somebody writes at each look since
  SteadyClock::time_point next_try{};
  SteadyClock::time_point next_reminder{};
  bool failing = false;
  bool complained = false;
};

PolicySource::PolicySource(std::string path, Log log)
    : path_(std::move(path)), log_(log), watched_(std::make_unique<Watched>()) {
  look();
  worker_ = std::thread([this] { watch(); });
}

PolicySource::~PolicySource() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  worker_.join();
}

std::shared_ptr<const RuleStore> PolicySource::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

void PolicySource::watch() {
  // Signals are for the thread that serves.
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kLookInterval, [this] { return stopping_; })) {
    lock.unlock();
    look();
    lock.lock();
  }
}

void PolicySource::look() {
  const auto mark = mark_of(path_);
  if (mark && watched_->in_force == *mark) return nothing_new(*mark);
  const bool as_before = mark ? watched_->tried == *mark : !watched_->tried;
  if (watched_->failing && as_before && SteadyClock::now() < watched_->next_try) return;
  if (!mark) return failed(mark.error(), std::nullopt);
  if (!take_up_changes(*mark)) take_up_all(*mark);
}

void PolicySource::nothing_new(const FileMark& mark) {
  if (watched_->whole_due) {
    if (SteadyClock::now() >= *watched_->whole_due) take_up_all(mark);
  } else if (watched_->failing) {
    recovered(mark, "the file is as it was");
  }
}

bool PolicySource::is_starving() const {
  return watched_->written_since && SteadyClock::now() - *watched_->written_since > kLockPatience;
}

bool PolicySource::take_up_changes(const FileMark& mark) {
  // A file that was replaced has a history of its own.
  if (!watched_->whole || watched_->in_force->inode != mark.inode) return false;
  const auto begin = SteadyClock::now();
  auto policy = load_changes(path_, *watched_->whole);
  if (!policy && policy.error().code == ErrorCode::Busy) {
    if (is_starving()) return false;  // the whole can be read under a lock
    failed(policy.error(), mark);
    return true;
  }
  if (!policy) return false;  // whatever it is, reading the whole tells more of it
  take_over(*std::move(policy));
  recovered(mark, fmt::format("changes read in {} ms", milliseconds_since(begin)));
  watched_->whole_due = SteadyClock::now() + kQuietTime;
  return true;
}

void PolicySource::take_up_all(const FileMark& mark) {
  const auto begin = SteadyClock::now();
  const auto patient = watched_->in_force ? Locking::Never : Locking::AfterPatience;
  auto policy = load_policy(path_, is_starving() ? Locking::AtOnce : patient);
  const bool confirms = watched_->whole_due && !watched_->failing;
  if (!policy) {
    failed(policy.error(), mark);
    if (watched_->whole_due) watched_->whole_due = watched_->next_try;
    return;
  }
  watched_->whole_due.reset();
  watched_->whole = *std::move(policy);
  take_over(watched_->whole->rows);
  const std::string how = fmt::format("{} rows read in {} ms", watched_->whole->rows->size(),
                                      milliseconds_since(begin));
  if (confirms) {
    log_.debug("policy confirmed: {} ({})", path_, how);
  } else {
    recovered(mark, how);
  }
}

void PolicySource::take_over(std::shared_ptr<const RuleStore> policy) {
  const std::lock_guard lock(mutex_);
  current_.swap(policy);
  generation_.fetch_add(1, std::memory_order_release);
}

void PolicySource::recovered(const FileMark& mark, std::string_view how) {
  watched_->in_force = mark;
  watched_->failing = watched_->complained = false;
  watched_->written_since.reset();
  log_.info("policy in force: {} (change counter {}, {})", path_, mark.change_counter, how);
}

void PolicySource::failed(const Error& error, const std::optional<FileMark>& seen) {
  const auto now = SteadyClock::now();
  const bool busy = error.code == ErrorCode::Busy;
  if (!watched_->failing) watched_->failing_since = now;
  watched_->failing = true;
  // Between two writers a look can take the journal of one for left behind: then the file is
  // another.
  const bool died = watched_->tried == seen && has_hot_journal(real_path(path_));
  const bool written = busy && !died;
  if (!written) watched_->written_since.reset();
  if (written && !watched_->written_since) watched_->written_since = now;
  watched_->tried = seen;
  watched_->next_try = now + (busy ? kLookInterval : kRetryInterval);
  if (busy && now - watched_->failing_since < kPatience) return;
  if (watched_->complained && now < watched_->next_reminder) return;
  watched_->complained = true;
  watched_->next_reminder = now + kReminderInterval;
  log_.error("{}; {}", error.context,
             watched_->in_force ? "the last committed policy stays in force"
                                : "all mail waits until the policy can be read");
}

}  // namespace forcetls
