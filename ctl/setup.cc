// forcetls setup: shows what Postfix's configuration needs, makes the changes, takes them back.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "ctl/command.h"
#include "ctl/file_io.h"
#include "ctl/setup_apply.h"
#include "ctl/setup_backup.h"
#include "ctl/setup_facts.h"
#include "ctl/setup_trial.h"
#include "shared/base/log.h"
#include "shared/base/unique_fd.h"
#include "shared/mta/postfix_instance.h"

namespace forcetls {
namespace {

int status_of(const Error& error) {
  // What Postfix cannot read is its configuration, not data handed to us.
  return error.code == ErrorCode::Malformed ? EX_CONFIG : exit_status_of(error.code);
}

int setup_failed(const Error& error) {
  fmt::print(stderr, "forcetls setup: {}\n", without_controls(error.context));
  return status_of(error);
}

int refuse(const std::vector<std::string>& refusals) {
  for (const std::string& line : refusals)
    fmt::print(stderr, "forcetls setup: {}\n", without_controls(line));
  return EX_CONFIG;
}

/// Held until the end: two at once would each take the other's files for a hand's work. Tried for
/// a second: of a setup that was killed while it started a program, that child still holds the lock
/// until its execve(2).
Result<UniqueFd> take_turn(const std::string& config_directory) {
  constexpr int kTries = 50;
  constexpr std::chrono::milliseconds kNextTry{20};
  UniqueFd directory(::open(config_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return file_failure(config_directory);
  for (int tries = 0; tries < kTries; ++tries) {
    if (::flock(directory.get(), LOCK_EX | LOCK_NB) == 0) return directory;
    if (errno != EWOULDBLOCK && errno != EINTR) return file_failure(config_directory);
    std::this_thread::sleep_for(kNextTry);
  }
  return fail(ErrorCode::Busy, config_directory + ": another forcetls setup is at work");
}

/// Why main.cf is not this directory's own; empty: it is. Every program of Postfix takes a main.cf
/// at its word, and would look for our table elsewhere.
std::string fault_of_directory(const PostfixInstance& instance, const PostfixConfig& postfix) {
  const std::string named = postfix.value("config_directory");
  std::error_code ignored;
  if (named == instance.config_directory() ||
      std::filesystem::equivalent(named, instance.config_directory(), ignored))
    return {};
  return fmt::format(
      "{}/main.cf says config_directory = {}: remove that line (postconf -c {} -X "
      "config_directory), "
      "or name the other directory with --config-dir",
      instance.config_directory(), named, instance.config_directory());
}

Result<SetupWork> plan_work(const Config& config, const SetupOptions& options,
                            const PostfixInstance& instance, const SetupBackup& backup) {
  SetupWork work;
  auto manifest = backup.manifest();
  if (!manifest) return fail(std::move(manifest).error());
  work.before = *std::move(manifest);
  // Read before anything else: whatever is changed from here on is noticed before it is replaced.
  auto now = read_config_texts(instance.config_directory());
  if (!now) return fail(std::move(now).error());
  work.now = *std::move(now);
  auto postfix = instance.read_config();
  if (!postfix) return fail(std::move(postfix).error());
  if (auto fault = fault_of_directory(instance, *postfix); !fault.empty()) {
    work.plan.refusals.push_back(std::move(fault));
    return work;
  }
  auto around =
      look_around(config, options, instance, *postfix, work.before.value_or(SetupManifest{}));
  if (!around) return fail(std::move(around).error());
  work.mail_owner = postfix->value("mail_owner");
  work.files = std::move(around->files);
  work.plan = plan_setup(*postfix, around->facts);
  work.plan.advice.insert(work.plan.advice.end(), around->advice.begin(), around->advice.end());
  work.settings_now = around->facts.settings;
  if (!work.plan.refusals.empty()) return work;
  auto next = try_out(work.now, *postfix, around->facts, work.plan);
  if (!next) return fail(std::move(next).error());
  work.next = *std::move(next);
  return work;
}

Result<void> show(const SetupWork& work) {
  for (const ParameterChange& change : work.plan.parameters)
    fmt::print("{}: {}\n", change.where(), change.reason);
  for (const NewFile& file : work.files) fmt::print("{}: {}\n", file.path, file.reason);
  for (const SettingChange& change : work.plan.settings)
    fmt::print("policy.db: setting {} = '{}': {}\n", change.name, change.value, change.reason);
  const auto diff = difference(work.now, work.next);
  if (!diff) return fail(diff.error());
  if (!diff->empty()) fmt::print("\n{}", *diff);
  if (!work.plan.advice.empty()) fmt::print("\nFor you to decide:\n");
  for (const std::string& line : work.plan.advice) fmt::print("- {}\n", without_controls(line));
  return {};
}

bool is_interrupted(const SetupWork& work) { return work.before && !work.before->complete; }

int set_up(const Config& config, const SetupOptions& options, const PostfixInstance& instance,
           const SetupBackup& backup) {
  auto work = plan_work(config, options, instance, backup);
  if (!work) return setup_failed(work.error());
  if (!work->plan.refusals.empty()) return refuse(work->plan.refusals);
  if (const auto shown = show(*work); !shown) return setup_failed(shown.error());
  if (work->is_nothing() && !is_interrupted(*work)) {
    fmt::print("{}: nothing to change\n", instance.config_directory());
    return EX_OK;
  }
  if (!options.apply) {
    if (is_interrupted(*work))
      fmt::print(
          "\nAn earlier --apply did not come to its end: run forcetls setup --apply, or "
          "--undo.\n");
    else
      fmt::print("\nNothing was changed: forcetls setup --apply makes these changes.\n");
    return kExitChangesToApply;
  }
  std::fflush(stdout);
  if (const auto applied = apply_setup(config, instance, backup, *work); !applied)
    return setup_failed(applied.error());
  fmt::print(
      "\n{}: applied; forcetls setup --undo goes back. The backup is in {}\n"
      "Now forcetls doctor tells what still goes round the rows.\n",
      instance.config_directory(), backup.directory());
  return EX_OK;
}

int take_back(const Config& config, const PostfixInstance& instance, const SetupBackup& backup) {
  const auto undone = undo_setup(config, instance, backup);
  if (!undone) return setup_failed(undone.error());
  fmt::print("{}: {}\n", instance.config_directory(),
             undone->anything ? "main.cf and master.cf are as they were before forcetls setup"
                              : "nothing to undo");
  if (!undone->stays.empty()) fmt::print("{}\n", undone->stays);
  return EX_OK;
}

}  // namespace

int run_setup(const Config& config, const SetupOptions& options) {
  if (::geteuid() != 0)
    return setup_failed(
        {ErrorCode::Denied, "only root can read and change Postfix's configuration"});
  const auto instance = PostfixInstance::open(options.config_dir);
  if (!instance) return setup_failed(instance.error());
  const auto turn = take_turn(instance->config_directory());
  if (!turn) return setup_failed(turn.error());
  const SetupBackup backup(instance->config_directory());
  return options.undo ? take_back(config, *instance, backup)
                      : set_up(config, options, *instance, backup);
}

}  // namespace forcetls
