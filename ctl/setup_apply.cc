#include "ctl/setup_apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "ctl/file_io.h"
#include "ctl/live_check.h"
#include "shared/base/subprocess.h"

namespace forcetls {
namespace {

constexpr const char* kProbeKey = "forcetls-setup.invalid";

/// While it lives, a terminal that is closed or a Ctrl-C does not break the work off half-way.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t signals{};
    ::sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE})
      ::sigaddset(&signals, signal);
    ::sigprocmask(SIG_BLOCK, &signals, &before_);
  }
  ~SignalsHeld() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

 private:
  sigset_t before_{};
};

/// The last line that Postfix printed says what is wrong.
std::string last_line(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  const auto newline = text.rfind('\n');
  return std::string(newline == text.npos ? text : text.substr(newline + 1));
}

Result<void> run_postfix(const PostfixInstance& instance, const char* what, ErrorCode failure) {
  const auto done = run_command({"postfix", "-c", instance.config_directory(), what});
  if (!done) return fail(done.error());
  if (done->status != 0) {
    // Off a terminal Postfix tells some faults to the mail log alone.
    const auto said = std::string(last_line(done->err));
    return fail(failure, fmt::format("postfix {}: {}", what,
                                     said.empty() ? "fails, and the mail log says why" : said));
  }
  return {};
}

Result<void> reload_if_running(const PostfixInstance& instance) {
  if (!instance.is_running()) return {};
  return run_postfix(instance, "reload", ErrorCode::System);
}

/// The answers that Postfix will get, asked for as it will ask.
Result<void> check_answers(const PostfixInstance& instance, const std::string& mail_owner) {
  if (auto live = check_live(instance.queue_directory(), mail_owner); !live) return live;
  for (const std::string_view map : {kTlsMap, kLmtpMap, kDefaultMap})
    if (const auto answer = instance.query(std::string(map), kProbeKey); !answer)
      return fail(ErrorCode::Unavailable, answer.error().context);
  return {};
}

Result<void> write_new_files(const std::vector<NewFile>& files) {
  for (const NewFile& file : files) {
    const auto slash = file.path.rfind('/');
    if (auto made = make_directories(file.path.substr(0, slash), 0755); !made) return made;
    if (auto done = replace_file(file.path, file.content, FileLook{}); !done) return done;
  }
  return {};
}

/// What the manifest will say once the work is done.
void record(SetupManifest& manifest, const SetupWork& work) {
  for (const SettingChange& change : work.plan.settings) {
    const auto now = work.settings_now.find(change.name);
    const std::string before = now == work.settings_now.end() ? "" : now->second;
    auto [entry, is_new] =
        manifest.settings.try_emplace(change.name, SetupManifest::Setting{before, {}});
    if (!is_new && entry->second.after != before) entry->second.before = before;
    entry->second.after = change.value;
  }
  for (const NewFile& file : work.files)
    if (!file.previous && !manifest.has_made(file.path)) manifest.created.push_back(file.path);
}

std::string name_in_backup(const SetupBackup& backup, const std::string& path) {
  return backup.directory() + path.substr(path.rfind('/'));
}

/// A table of that name that a person has put there is brought back by --undo.
Result<void> keep_previous(const SetupBackup& backup, const SetupWork& work) {
  for (const NewFile& file : work.files) {
    if (!file.previous) continue;
    const auto look = look_of(file.path);
    if (!look) return fail(look.error());
    if (auto kept = replace_file(name_in_backup(backup, file.path), *file.previous, *look); !kept)
      return kept;
  }
  return {};
}

Result<void> bring_back_previous(const SetupBackup& backup, const std::string& path) {
  const std::string kept = name_in_backup(backup, path);
  const auto text = read_file(kept);
  if (!text) return text.error().code == ErrorCode::NotFound ? Result<void>() : fail(text.error());
  const auto look = look_of(kept);
  if (!look) return fail(look.error());
  return replace_file(path, *text, *look);
}

Result<void> write_planned_settings(const Config& config, const SetupWork& work) {
  if (work.plan.settings.empty()) return {};
  // Another instance's setup may be at work with the same policy.
  const auto now = read_settings(config.policy_db);
  if (!now) return fail(now.error());
  if (*now != work.settings_now)
    return fail(ErrorCode::Busy,
                config.policy_db + ": somebody changed a setting meanwhile: try again");
  SettingTable values;
  for (const SettingChange& change : work.plan.settings) values[change.name] = change.value;
  return write_settings(config.policy_db, values, kSetupAuthor);
}

/// Gives the settings back what they were before this --apply, those that nobody has written since.
void take_settings_back(const Config& config, const SetupWork& work) {
  const auto now = read_settings(config.policy_db);
  if (!now) return;
  SettingTable values;
  for (const SettingChange& change : work.plan.settings) {
    const auto old = work.settings_now.find(change.name);
    const auto present = now->find(change.name);
    if (old != work.settings_now.end() && present != now->end() && present->second == change.value)
      values[change.name] = old->second;
  }
  if (!values.empty()) static_cast<void>(write_settings(config.policy_db, values, kSetupAuthor));
}

/// A file that setup is about to make, as it is before.
struct FormerFile {
  std::string path;
  std::optional<std::string> content;  ///< nothing: it is not there
  FileLook look;
};

Result<std::vector<FormerFile>> former_files(const SetupWork& work) {
  std::vector<FormerFile> files;
  for (const NewFile& file : work.files) {
    FormerFile& former = files.emplace_back(FormerFile{file.path, {}, {}});
    auto content = read_file(file.path);
    if (!content && content.error().code == ErrorCode::NotFound) continue;
    if (!content) return fail(std::move(content).error());
    const auto look = look_of(file.path);
    if (!look) return fail(look.error());
    former.content = *std::move(content);
    former.look = *look;
  }
  return files;
}

void put_new_files_back(const std::vector<FormerFile>& files) {
  for (const FormerFile& file : files)
    static_cast<void>(file.content ? replace_file(file.path, *file.content, file.look)
                                   : remove_file(file.path));
}

/// What was there when --apply began, to go back to after a failure.
struct Beginning {
  std::vector<FormerFile> files;
  std::optional<SetupManifest> earlier;  ///< of the backup that is gone on with; nothing: a new one
  std::string aside;                     ///< where a backup that is gone on without was put
};

/// The backup to work with: the one that there is, if the files are still what it left.
Result<SetupManifest> open_backup(const SetupBackup& backup, const SetupWork& work,
                                  Beginning& beginning) {
  if (!work.before) return backup.begin();
  const auto changed = backup.changed_file(*work.before);
  if (!changed) return fail(changed.error());
  if (changed->empty()) {
    beginning.earlier = work.before;
    return *work.before;
  }
  auto aside = backup.put_aside();
  if (!aside) return fail(std::move(aside).error());
  beginning.aside = *std::move(aside);
  fmt::print(
      "{} was changed by hand since the last --apply: --undo will go back to what it is "
      "now; the older backup is in {}\n",
      *changed, beginning.aside);
  auto manifest = backup.begin();
  if (manifest) manifest->take_over(*work.before);
  return manifest;
}

/// From the moment when something is touched; the caller undoes it if this fails.
Result<void> carry_out(const Config& config, const PostfixInstance& instance,
                       const SetupBackup& backup, const SetupWork& work) {
  // Floors first: in this order no answer is ever weaker than main.cf's.
  if (auto done = write_planned_settings(config, work); !done) return done;
  if (auto done = write_new_files(work.files); !done) return done;
  const auto now = read_config_texts(instance.config_directory());
  if (!now) return fail(now.error());
  if (*now != work.now)
    return fail(ErrorCode::Busy,
                instance.config_directory() +
                    ": somebody changed main.cf or master.cf meanwhile: try again");
  // Services have what they need of their own before main.cf makes an older parameter void.
  if (work.next.master_cf != work.now.master_cf) {
    if (auto done = backup.replace({work.now.main_cf, work.next.master_cf}); !done) return done;
    if (auto done = reload_if_running(instance); !done) return done;
  }
  if (auto done = backup.replace(work.next); !done) return done;
  if (auto done = run_postfix(instance, "check", ErrorCode::Malformed); !done) return done;
  if (auto done = reload_if_running(instance); !done) return done;
  return check_answers(instance, work.mail_owner);
}

bool is_one_of(const std::string& text, const std::string& a, const std::string& b) {
  return text == a || text == b;
}

/// Puts the files of before this --apply in place, if what is there now is theirs or ours. False:
/// somebody else's change is there, or they could not be written.
bool put_files_back(const PostfixInstance& instance, const SetupBackup& backup,
                    const SetupWork& work, bool has_earlier) {
  const auto now = read_config_texts(instance.config_directory());
  if (!now) return false;
  if (*now == work.now) return true;
  if (!is_one_of(now->main_cf, work.now.main_cf, work.next.main_cf) ||
      !is_one_of(now->master_cf, work.now.master_cf, work.next.master_cf))
    return false;
  const auto done = has_earlier ? backup.take_back(work.now) : backup.restore();
  static_cast<void>(reload_if_running(instance));
  return done.has_value();
}

/// After a failure: what was there before this --apply. False: it could not be done; then the
/// backup is kept, with all that the files in place may need.
bool put_back(const Config& config, const PostfixInstance& instance, const SetupBackup& backup,
              const SetupWork& work, const Beginning& beginning) {
  if (!put_files_back(instance, backup, work, beginning.earlier.has_value())) return false;
  take_settings_back(config, work);
  put_new_files_back(beginning.files);
  static_cast<void>(beginning.earlier ? backup.save(*beginning.earlier) : backup.remove());
  if (!beginning.aside.empty()) static_cast<void>(backup.take_up(beginning.aside));
  return true;
}

/// Makes the backup, and then the changes.
Result<void> back_up_and_carry_out(const Config& config, const PostfixInstance& instance,
                                   const SetupBackup& backup, const SetupWork& work,
                                   Beginning& beginning) {
  auto files = former_files(work);
  if (!files) return fail(std::move(files).error());
  beginning.files = *std::move(files);
  auto manifest = open_backup(backup, work, beginning);
  if (!manifest) return fail(std::move(manifest).error());
  record(*manifest, work);
  if (auto done = keep_previous(backup, work); !done) return done;
  if (auto done = backup.announce(*manifest, work.next); !done) return done;
  if (auto done = carry_out(config, instance, backup, work); !done) return done;
  return backup.finish(*manifest);
}

/// What --undo gives back: nothing but a lowering. tls_required_header = ignore is right only while
/// main.cf has tls_required_enable = no. What was raised stays, and so does what another instance
/// that uses the same policy may need.
bool is_taken_back(std::string_view setting) { return setting == "tls_required_header"; }

Result<void> take_lowering_back(const Config& config, const SetupManifest& manifest,
                                const SettingTable& now) {
  SettingTable old;
  for (const auto& [name, setting] : manifest.settings)
    if (const auto found = now.find(name);
        is_taken_back(name) && found != now.end() && found->second == setting.after)
      old[name] = setting.before;
  return old.empty() ? Result<void>() : write_settings(config.policy_db, old, kSetupAuthor);
}

/// Which settings stay after --undo, and the command for a person who wants them back. Empty: none.
std::string settings_that_stay(const Config& config, const SetupManifest& manifest,
                               const SettingTable& now) {
  SettingTable before;
  if (const auto written = settings_written_by(config.policy_db, kSetupAuthor))
    for (const std::string& name : *written)
      if (name.starts_with("floor_")) before[name] = "";
  for (const auto& [name, setting] : manifest.settings)
    if (!is_taken_back(name)) before[name] = setting.before;
  std::string names, commands;
  for (const auto& [name, value] : before) {
    const auto present = now.find(name);
    if (present == now.end() || present->second == value) continue;
    names += (names.empty() ? "" : ", ") + name;
    commands += fmt::format("{}UPDATE setting SET value = '{}' WHERE name = '{}'",
                            commands.empty() ? "" : "; ", value, name);
  }
  if (names.empty()) return {};
  return fmt::format(
      "{}: {} stay as they are: nothing lowers a requirement by itself, and a Postfix that still "
      "asks forcetls may rely on them; if none does: {}",
      config.policy_db, names, sqlite_command(config.policy_db, commands));
}

/// What to do about a `file` that --undo would not put back, because somebody else changed it.
std::string changed_since(const std::string& file, const SetupBackup& backup,
                          const SetupManifest& manifest) {
  const std::string name = std::filesystem::path(file).filename();
  const int last = manifest.generations.empty() ? 0 : manifest.generations.back();
  return fmt::format(
      "{0} was changed since forcetls setup --apply (diff {1}/{2}.{3} {0}): take that change back "
      "and run --undo again, or take what you need from the backup in {1} yourself",
      file, backup.directory(), name, last);
}

}  // namespace

Result<void> apply_setup(const Config& config, const PostfixInstance& instance,
                         const SetupBackup& backup, const SetupWork& work) {
  if (auto live = check_live(instance.queue_directory(), work.mail_owner); !live) return live;
  const SignalsHeld held;
  Beginning beginning;
  auto done = back_up_and_carry_out(config, instance, backup, work, beginning);
  if (done) return done;
  Error error = std::move(done).error();
  error.context += put_back(config, instance, backup, work, beginning)
                       ? "; nothing was changed"
                       : "; and main.cf and master.cf could not be put back: run forcetls setup "
                         "--undo, or take them from " +
                             backup.directory();
  return fail(std::move(error));
}

Result<Undone> undo_setup(const Config& config, const PostfixInstance& instance,
                          const SetupBackup& backup) {
  const auto manifest = backup.manifest();
  if (!manifest) return fail(manifest.error());
  if (!*manifest) return Undone{};
  const auto changed = backup.changed_file(**manifest);
  if (!changed) return fail(changed.error());
  if (!changed->empty())
    return fail(ErrorCode::Malformed, changed_since(*changed, backup, **manifest));
  const SignalsHeld held;
  if (auto done = backup.restore(); !done) return fail(done.error());
  if (auto done = reload_if_running(instance); !done) return fail(done.error());
  for (const std::string& file : (*manifest)->created)
    if (auto done = remove_file(file); !done) return fail(done.error());
  const std::string table = instance.config_directory() + "/" + std::string(kStatusFilterName);
  if (auto done = bring_back_previous(backup, table); !done) return fail(done.error());
  Undone undone{true, {}};
  // A policy that is gone or being written to needs no way back.
  if (const auto now = read_settings(config.policy_db)) {
    if (auto done = take_lowering_back(config, **manifest, *now); !done) return fail(done.error());
    undone.stays = settings_that_stay(config, **manifest, *now);
  }
  if (auto done = backup.remove(); !done) return fail(done.error());
  return undone;
}

}  // namespace forcetls
