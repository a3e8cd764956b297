#include "milter/as_if_enforced.h"

namespace forcetls {

std::optional<Rule> AsIfEnforced::find_rule(std::string_view key) const {
  auto rule = policy_.find_rule(key);
  if (rule && rule->mode == Mode::Test) rule->mode = Mode::Enforce;
  return rule;
}

std::optional<Level> AsIfEnforced::active_cap(std::string_view key, TimePoint now) const {
  return policy_.active_cap(key, now);
}

const Settings& AsIfEnforced::settings() const { return policy_.settings(); }

// It is made where a row was found.
bool AsIfEnforced::enforces_nothing() const { return false; }

void AsIfEnforced::for_each_rule(const std::function<void(const Rule&)>& visit) const {
  policy_.for_each_rule([&visit](Rule rule) {
    if (rule.mode == Mode::Test) rule.mode = Mode::Enforce;
    visit(rule);
  });
}

}  // namespace forcetls
