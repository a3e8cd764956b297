#include "shared/mta/postconf.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "shared/core/ascii.h"

namespace forcetls {
namespace {

struct Line {
  std::string_view name, value;
};

/// Calls `visit` for each "name = value" of `text`, until one fails.
template <class Visit>
Result<void> for_each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    const auto equals = line.find('=');
    if (equals == line.npos)
      return fail(ErrorCode::Malformed, "postconf printed '" + std::string(line) + "'");
    const Line parts{without_blanks(line.substr(0, equals)),
                     without_blanks(line.substr(equals + 1))};
    if (auto done = visit(parts); !done) return done;
  }
  return {};
}

/// "relay/unix/chroot": the service's label, and the last part. A name may itself hold slashes.
std::pair<std::string_view, std::string_view> label_and_last(std::string_view name) {
  const auto slash = name.rfind('/');
  if (slash == name.npos) return {name, {}};
  return {name.substr(0, slash), name.substr(slash + 1)};
}

PostfixVersion version_of(const std::string& text) {
  PostfixVersion version{.text = text};
  std::string_view rest = text;
  for (int* part : {&version.major, &version.minor, &version.patch}) {
    *part = number_in(rest);
    const auto dot = rest.find('.');
    rest.remove_prefix(dot == rest.npos ? rest.size() : dot + 1);
  }
  return version;
}

/// Before compatibility level 1 a "-" in the chroot column meant yes (postfix: master_ent.c).
bool dash_means_chroot(std::string_view compatibility_level) {
  return number_in(compatibility_level) < 1;
}

}  // namespace

Result<PostfixConfig> PostfixConfig::parse(const PostconfTexts& texts) {
  PostfixConfig config;
  const auto into = [](Parameters& parameters) {
    return [&parameters](const Line& line) -> Result<void> {
      parameters.insert_or_assign(std::string(line.name), std::string(line.value));
      return {};
    };
  };
  if (auto done = for_each_line(texts.all, into(config.all_)); !done) return fail(done.error());
  if (auto done = for_each_line(texts.set, into(config.set_)); !done) return fail(done.error());
  // Some releases list a parameter that only main.cf defines with -n alone.
  for (const auto& [name, value] : config.set_) config.all_.insert_or_assign(name, value);
  config.version_ = version_of(config.value("mail_version"));
  if (config.version_.major == 0)
    return fail(ErrorCode::Malformed, "postconf does not tell mail_version");
  if (auto done = config.read_services(texts.fields); !done) return fail(done.error());
  if (auto done = config.read_overrides(texts.overrides); !done) return fail(done.error());
  return config;
}

Result<void> PostfixConfig::read_services(const std::string& fields) {
  const bool by_default = dash_means_chroot(value("compatibility_level"));
  return for_each_line(fields, [&](const Line& line) -> Result<void> {
    const auto [label, field] = label_and_last(line.name);
    if (field == "service") {
      const std::string_view type = label_and_last(label).second;
      services_.push_back({std::string(line.value), std::string(type), by_default, {}, {}, {}});
      return {};
    }
    if (services_.empty() || services_.back().label() != label)
      return fail(ErrorCode::Malformed, "postconf -F printed '" + std::string(line.name) + "'");
    PostfixService& service = services_.back();
    if (field == "chroot" && line.value != "-") service.chrooted = line.value == "y";
    if (field == "command") {
      service.command = line.value;
      service.program = line.value.substr(0, line.value.find_first_of(" \t"));
    }
    return {};
  });
}

Result<void> PostfixConfig::read_overrides(const std::string& overrides) {
  return for_each_line(overrides, [&](const Line& line) -> Result<void> {
    const auto [label, option] = label_and_last(line.name);
    for (PostfixService& service : services_) {
      if (service.label() != label) continue;
      service.options.insert_or_assign(std::string(option), std::string(line.value));
      return {};
    }
    return fail(ErrorCode::Malformed, "postconf -P printed '" + std::string(line.name) + "'");
  });
}

bool PostfixConfig::at_least(int major, int minor) const {
  return std::tie(version_.major, version_.minor) >= std::tie(major, minor);
}

std::optional<std::string_view> PostfixConfig::raw(std::string_view name) const {
  const auto known = all_.find(name);
  if (known == all_.end()) return std::nullopt;
  return known->second;
}

std::string PostfixConfig::value(std::string_view name) const {
  const auto text = raw(name);
  if (!text) return {};
  return std::string(without_blanks(expand(*text, [this](std::string_view n) { return raw(n); })));
}

std::string PostfixConfig::value(const PostfixService& service, std::string_view name) const {
  const ParameterLookup lookup = [&](std::string_view asked) -> std::optional<std::string_view> {
    if (const auto own = service.options.find(asked); own != service.options.end())
      return own->second;
    if (asked == "service_name") return service.name;
    return raw(asked);
  };
  const auto text = lookup(name);
  return text ? std::string(without_blanks(expand(*text, lookup))) : std::string();
}

bool PostfixConfig::knows(std::string_view name) const { return all_.find(name) != all_.end(); }

bool PostfixConfig::is_set(std::string_view name) const { return set_.find(name) != set_.end(); }

std::string_view PostfixConfig::text_in_main_cf(std::string_view name) const {
  const auto found = set_.find(name);
  return found == set_.end() ? std::string_view() : std::string_view(found->second);
}

std::vector<const PostfixService*> PostfixConfig::services_of(std::string_view program) const {
  std::vector<const PostfixService*> found;
  for (const PostfixService& service : services_)
    if (service.program == program) found.push_back(&service);
  return found;
}

const PostfixService* PostfixConfig::find_service(std::string_view name,
                                                  std::string_view type) const {
  for (const PostfixService& service : services_)
    if (service.name == name && service.type == type) return &service;
  return nullptr;
}

}  // namespace forcetls
