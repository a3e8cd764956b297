// Postfix's configuration as a value: main.cf with its defaults, and the services of master.cf with
// their -o overrides, read from what postconf(1) prints. Pure; PostfixInstance does the asking.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.h"
#include "shared/mta/parameter_text.h"

namespace forcetls {

/// What postconf printed. All without -x: values are expanded here, since a service's -o options
/// change what they expand to.
struct PostconfTexts {
  std::string all{};        ///< postconf: every parameter, defaults too
  std::string set{};        ///< postconf -n: what main.cf sets
  std::string fields{};     ///< postconf -F: fields of master.cf entries
  std::string overrides{};  ///< postconf -P: -o options of master.cf entries
};

struct PostfixVersion {
  int major = 0, minor = 0, patch = 0;
  std::string text{};  ///< "3.7.11"
};

/// One entry of master.cf.
struct PostfixService {
  std::string name;     ///< smtp, relay, 127.0.0.1:10025
  std::string type;     ///< unix, inet, fifo, pass
  bool chrooted;        ///< "-" counts as compatibility_level says
  std::string program;  ///< smtpd, smtp, lmtp, pipe ...
  std::string command;  ///< the program with its arguments
  std::map<std::string, std::string, std::less<>> options;  ///< -o name=value, not expanded

  /// "relay/unix", as postconf -P and -F name it.
  std::string label() const { return name + "/" + type; }
};

/// Immutable. References into it live as long as it does.
class PostfixConfig {
 public:
  /// Errors: Malformed if a text is not of postconf's form, or there is no mail_version.
  static Result<PostfixConfig> parse(const PostconfTexts& texts);

  const PostfixVersion& version() const { return version_; }
  bool at_least(int major, int minor) const;

  /// The value in force outside master.cf's overrides, expanded; empty if there is no such
  /// parameter.
  std::string value(std::string_view name) const;
  /// The value in force in one service.
  std::string value(const PostfixService& service, std::string_view name) const;
  /// As split_list() of the value.
  std::vector<std::string> list(std::string_view name) const { return split_list(value(name)); }
  std::vector<std::string> list(const PostfixService& service, std::string_view name) const {
    return split_list(value(service, name));
  }

  /// True if this Postfix has such a parameter, or main.cf defines it.
  bool knows(std::string_view name) const;
  /// True if main.cf sets it (also to nothing).
  bool is_set(std::string_view name) const;
  /// As main.cf writes it, continuation lines joined; empty if it does not.
  std::string_view text_in_main_cf(std::string_view name) const;

  const std::vector<PostfixService>& services() const { return services_; }
  /// All services that run `program`: for smtp Debian's smtp and relay, and every clone.
  std::vector<const PostfixService*> services_of(std::string_view program) const;
  /// The service of that name and type, or nullptr.
  const PostfixService* find_service(std::string_view name, std::string_view type) const;

 private:
  using Parameters = std::map<std::string, std::string, std::less<>>;

  Result<void> read_services(const std::string& fields);
  Result<void> read_overrides(const std::string& overrides);
  std::optional<std::string_view> raw(std::string_view name) const;

  PostfixVersion version_;
  Parameters all_, set_;
  std::vector<PostfixService> services_;
};

}  // namespace forcetls
