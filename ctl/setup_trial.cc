#include "ctl/setup_trial.h"

#include <stdlib.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "ctl/file_io.h"
#include "shared/base/subprocess.h"
#include "shared/mta/postfix_instance.h"
#include "shared/mta/service_command.h"

namespace forcetls {
namespace {

/// A directory that only root can look into, removed with all that is in it.
class PrivateDirectory {
 public:
  static Result<PrivateDirectory> make() {
    std::string path = "/tmp/forcetls-setup.XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return file_failure("/tmp");
    return PrivateDirectory(std::move(path));
  }
  PrivateDirectory(PrivateDirectory&& other) noexcept
      : path_(std::exchange(other.path_, std::string())) {}
  PrivateDirectory& operator=(PrivateDirectory&&) = delete;
  ~PrivateDirectory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  explicit PrivateDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// Some versions of postconf write a new line behind a last one that has no newline as if it
/// belonged to it (postfix: HISTORY, 3.7 among them).
std::string with_newline(std::string text) {
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  return text;
}

/// Dates the files back: Postfix waits up to two seconds before it reads one that may still change
/// (dict_load_file).
void let_cool(const std::string& directory) {
  using std::chrono::seconds;
  std::error_code ignored;
  for (const char* name : {"/main.cf", "/master.cf"})
    std::filesystem::last_write_time(
        directory + name, std::filesystem::file_time_type::clock::now() - seconds(10), ignored);
}

Result<void> write_texts(const std::string& directory, const ConfigTexts& texts) {
  const FileLook look{0, 0, 0600, {}};
  if (auto done = replace_file(directory + "/main.cf", with_newline(texts.main_cf), look); !done)
    return done;
  if (auto done = replace_file(directory + "/master.cf", with_newline(texts.master_cf), look);
      !done)
    return done;
  let_cool(directory);
  return {};
}

Result<void> run_postconf(const std::string& directory, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"postconf", "-c", directory});
  const auto done = run_command(arguments);
  if (!done) return fail(done.error());
  if (done->status != 0) return fail(ErrorCode::System, done->err.substr(0, done->err.find('\n')));
  let_cool(directory);
  return {};
}

/// One by one: several at once would be written in an order that differs from run to run.
Result<void> change_main_cf(const std::string& directory, const Plan& plan) {
  for (const ParameterChange& change : plan.parameters) {
    if (!change.service.empty()) continue;
    if (auto done = run_postconf(directory, {"-e", change.name + "=" + change.value}); !done)
      return done;
  }
  return {};
}

/// postconf -P takes no blanks in a value (3.7), so the whole command is given where there are any.
Result<void> change_master_cf(const std::string& directory, const PostfixConfig& config,
                              const Plan& plan) {
  for (const PostfixService& service : config.services()) {
    std::vector<std::pair<std::string, std::string>> values;
    std::vector<std::string> arguments{"-P"};
    bool has_blanks = false;
    for (const ParameterChange& change : plan.parameters) {
      if (change.service != service.label()) continue;
      values.emplace_back(change.name, change.value);
      arguments.push_back(change.service + "/" + change.name + "=" + change.value);
      has_blanks = has_blanks || change.value.find_first_of(" \t") != std::string::npos;
    }
    if (values.empty()) continue;
    if (has_blanks)
      arguments = {"-F", service.label() + "/command=" + with_options(service.command, values)};
    if (auto done = run_postconf(directory, std::move(arguments)); !done) return done;
  }
  return {};
}

/// Reads the result as Postfix will, and plans again: there must be nothing left to change.
Result<void> check_result(const std::string& directory, const SetupFacts& facts) {
  const auto instance = PostfixInstance::open(directory);
  if (!instance) return fail(instance.error());
  const auto config = instance->read_config();
  if (!config) return fail(config.error());
  const Plan again = plan_setup(*config, facts);
  if (again.parameters.empty()) return {};
  const ParameterChange& left = again.parameters.front();
  return fail(ErrorCode::Malformed, "cannot change this configuration: " + left.where() +
                                        " would still need '" + left.value +
                                        "'; set that by hand and run setup again");
}

}  // namespace

Result<ConfigTexts> try_out(const ConfigTexts& now, const PostfixConfig& config,
                            const SetupFacts& facts, const Plan& plan) {
  if (plan.parameters.empty()) return now;
  const auto directory = PrivateDirectory::make();
  if (!directory) return fail(directory.error());
  const std::string& path = directory->path();
  if (auto done = write_texts(path, now); !done) return fail(done.error());
  if (auto done = change_main_cf(path, plan); !done) return fail(done.error());
  if (auto done = change_master_cf(path, config, plan); !done) return fail(done.error());
  if (auto done = check_result(path, facts); !done) return fail(done.error());
  return read_config_texts(path);
}

Result<std::string> difference(const ConfigTexts& before, const ConfigTexts& after) {
  const auto directory = PrivateDirectory::make();
  if (!directory) return fail(directory.error());
  std::string shown;
  for (const auto& [name, old_text, new_text] :
       {std::tuple<std::string, std::string_view, std::string_view>{"main.cf", before.main_cf,
                                                                    after.main_cf},
        {"master.cf", before.master_cf, after.master_cf}}) {
    const std::string old_path = directory->path() + "/old", new_path = directory->path() + "/new";
    const FileLook look{0, 0, 0600, {}};
    if (auto done = replace_file(old_path, old_text, look); !done) return fail(done.error());
    if (auto done = replace_file(new_path, new_text, look); !done) return fail(done.error());
    const auto diff = run_command(
        {"diff", "-u", "--label", name, "--label", name + " with forcetls", old_path, new_path});
    if (!diff) return fail(diff.error());
    if (diff->status > 1) return fail(ErrorCode::System, "diff: " + diff->err);
    shown += diff->out;
  }
  return shown;
}

}  // namespace forcetls
