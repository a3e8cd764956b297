// The backup that `forcetls setup --apply` makes before it touches main.cf and master.cf, and that
// --undo goes back to: CONFIG_DIRECTORY/forcetls-setup, for root alone.
//
//   main.cf, master.cf          as they were before forcetls: bytes, owner, mode, times
//   main.cf.N, master.cf.N      as the Nth --apply wrote them
//   manifest.json               which of them may be in place, what else was made or set
//
// Written in that order and made durable before a file is replaced, so whenever the program or the
// host stops, what is in place is one of the files that the backup has.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/result.h"

namespace forcetls {

/// main.cf and master.cf.
struct ConfigTexts {
  std::string main_cf, master_cf;

  bool operator==(const ConfigTexts&) const = default;
};

/// Errors: as read_file.
Result<ConfigTexts> read_config_texts(const std::string& directory);

/// What lies in a backup besides the files.
struct SetupManifest {
  struct Setting {
    std::string before, after;
  };

  bool complete = false;         ///< the last --apply went through to its end
  std::vector<int> generations;  ///< the N of files that may be in place
  std::map<std::string, Setting> settings;
  std::vector<std::string> created;  ///< files that setup made; --undo removes them
  std::vector<std::string> earlier;  ///< that setup made before this backup: they stay

  /// True if setup made the file, so that it may make it anew.
  bool has_made(const std::string& path) const;
  /// Takes over what another backup, which this one comes after, knows of what setup made and set.
  void take_over(const SetupManifest& older);

  std::string to_json() const;
  /// Errors: Malformed.
  static Result<SetupManifest> parse(const std::string& text);
};

class SetupBackup {
 public:
  explicit SetupBackup(std::string config_directory)
      : config_directory_(std::move(config_directory)),
        directory_(config_directory_ + "/forcetls-setup") {}

  const std::string& directory() const { return directory_; }

  /// Nothing: there is no backup, or one that was not finished before anything was changed.
  /// Errors: Malformed, Denied, System.
  Result<std::optional<SetupManifest>> manifest() const;

  /// The name of a file that is neither what --apply left nor what was there before; empty: none.
  Result<std::string> changed_file(const SetupManifest& manifest) const;

  /// Before the first change: makes the backup of what is in place.
  Result<SetupManifest> begin() const;
  /// Before a change: records that these may be in place soon.
  Result<void> announce(SetupManifest& manifest, const ConfigTexts& next) const;
  /// Puts them in place, master.cf first: what services have of their own must be there before
  /// main.cf changes what holds without it.
  Result<void> replace(const ConfigTexts& next) const;
  /// Puts them in place, main.cf first: the way back from replace().
  Result<void> take_back(const ConfigTexts& before) const;
  /// After it: only these may be in place from now on.
  Result<void> finish(SetupManifest& manifest) const;
  Result<void> save(const SetupManifest& manifest) const;

  /// Puts the files of before forcetls in place.
  Result<void> restore() const;
  /// Removes the backup, the manifest first.
  Result<void> remove() const;
  /// Puts the backup aside and returns where: somebody changed the files since.
  Result<std::string> put_aside() const;
  /// Takes one that was put aside up again, where there is no other now.
  Result<void> take_up(const std::string& aside) const;

 private:
  Result<void> put(const char* file, const ConfigTexts& texts) const;

  std::string config_directory_, directory_;
};

}  // namespace forcetls
