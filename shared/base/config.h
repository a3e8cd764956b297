// /etc/forcetls/forcetls.conf: one file for all programs, "name = value" lines, '#' comments.
// Every value has a default, so the file may be empty or missing (unless named by --config).
#pragma once

#include <string>
#include <vector>

#include "shared/base/listen_address.h"
#include "shared/base/log.h"
#include "shared/base/result.h"

namespace forcetls {

constexpr const char* kDefaultConfigFile = "/etc/forcetls/forcetls.conf";

/// What the file and the flags say together. Lists: an empty one means the program's default.
struct Config {
  std::string policy_db = "/var/lib/forcetls/policy.db";
  std::string evidence_db = "/var/lib/forcetls/evidence/evidence.db";
  std::vector<ListenAddress> listen_policy;  ///< forcetls-policyd: policy delegation
  std::vector<ListenAddress> listen_map;     ///< forcetls-policyd: socketmaps
  std::vector<ListenAddress> listen_milter;  ///< forcetls-milter: exactly one
  std::string socket_group = "postfix";      ///< group of the unix sockets, where it can be given
  unsigned max_connections = 4096;           ///< forcetls-policyd: both protocols together
  LogLevel log_level = LogLevel::Info;
};

/// Errors: NotFound if `path` is not there; Malformed naming file and line, for a line without
/// '=', an unknown name, or a value that the name cannot have.
Result<Config> read_config(const std::string& path);

/// Takes one setting into `config`, as a line of the file would. Errors: Malformed.
Result<void> apply_config_line(Config& config, std::string_view name, std::string_view value);

}  // namespace forcetls
