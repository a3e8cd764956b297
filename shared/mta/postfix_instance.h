// One Postfix instance on this host, asked by its own tools: postconf, postmap, and the running
// trivial-rewrite. Reads only. For ctl; one thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/base/result.h"
#include "shared/mta/postconf.h"
#include "shared/mta/rewrite_client.h"

namespace forcetls {

/// An entry of a lookup table.
struct TableEntry {
  std::string key, value;
};

class PostfixInstance {
 public:
  /// The instance whose main.cf lies in `config_dir` (relative to the working directory, or not);
  /// empty: the one that Postfix's tools take by themselves. Errors:
  /// NotFound: no Postfix, or no main.cf there. Malformed: main.cf is broken. Busy, System.
  static Result<PostfixInstance> open(const std::string& config_dir);

  const std::string& config_directory() const { return config_directory_; }
  const std::string& queue_directory() const { return queue_directory_; }

  /// Errors: Malformed with Postfix's own words and the file; Busy, System.
  Result<PostfixConfig> read_config() const;

  /// What the table "type:name" gives for `key`, as Postfix would ask it; nothing: no entry. Not
  /// folded: give lower case. Errors: System with postmap's words; Busy.
  Result<std::optional<std::string>> query(const std::string& table, const std::string& key) const;

  /// The same for many keys at once: those that there is an entry for.
  Result<std::map<std::string, std::string>> query_all(const std::string& table,
                                                       const std::vector<std::string>& keys) const;

  /// All entries of a table that can be listed; `proxy:` in front is left out. Errors: System where
  /// it cannot (pcre:, sqlite:, socketmap: ...) or may not be read.
  Result<std::vector<TableEntry>> list(const std::string& table) const;

  /// Asks the running Postfix; needs root. An empty `sender` is the null sender. Errors: NotFound:
  /// it does not run. Malformed: it cannot resolve the address. Busy, System.
  Result<ResolvedRoute> resolve(std::string_view sender, std::string_view address) const;

  /// True while its master runs. Needs root; false if that cannot be known.
  bool is_running() const;

 private:
  PostfixInstance(std::string config_directory) : config_directory_(std::move(config_directory)) {}
  Result<std::string> postconf(std::vector<std::string> arguments) const;

  std::string config_directory_, queue_directory_;
};

}  // namespace forcetls
