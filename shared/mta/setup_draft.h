// The configuration as it will be, while the parts of the plan add to it. Only for setup_*.cc.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/mta/setup_plan.h"

namespace forcetls {

/// A place where a parameter can have a value: an entry of master.cf, or nullptr for main.cf.
using Place = const PostfixService*;

/// Borrows all that it is given.
class SetupDraft {
 public:
  SetupDraft(const PostfixConfig& config, const SetupFacts& facts, Plan& plan)
      : config_(config), facts_(facts), plan_(plan) {}

  const PostfixConfig& config() const { return config_; }
  const SetupFacts& facts() const { return facts_; }

  /// main.cf, and every service that has an -o option for one of `names`.
  std::vector<Place> places(std::initializer_list<std::string_view> names) const;

  /// The value in force there once the changes so far are made, expanded.
  std::string value(Place place, std::string_view name) const;
  /// The same as it stands in the file; of a parameter that main.cf does not set, the default.
  std::string text(Place place, std::string_view name) const;
  std::vector<std::string> list(Place place, std::string_view name) const;

  void change(Place place, std::string_view name, std::string value, std::string_view reason);
  void change_setting(std::string_view name, std::string value, std::string_view reason);
  void refuse(std::string line) { plan_.refusals.push_back(std::move(line)); }
  void advise(std::string line);

  /// Wherever the parameter has a value that is not `good`, it becomes `wanted`.
  void want(std::string_view name, const std::function<bool(std::string_view)>& good,
            std::string_view wanted, std::string_view reason);

 private:
  std::optional<std::string_view> raw(Place place, std::string_view name) const;

  const PostfixConfig& config_;
  const SetupFacts& facts_;
  Plan& plan_;
  mutable std::map<std::string, std::string, std::less<>> defaults_;
};

/// "main.cf" or "master.cf: relay/unix".
std::string name_of(Place place);

/// `own` with `first` before it and `last` behind it, separated by commas where there is something.
std::string around(std::string_view first, std::string_view own, std::string_view last = {});

/// `text` without our maps, wherever somebody put them. As it was if they are not in it.
std::string without_our_maps(const std::string& text);

// The parts of the plan.
void plan_maps(SetupDraft& draft);
void plan_delivery(SetupDraft& draft);
void plan_admission(SetupDraft& draft);
void plan_floors(SetupDraft& draft);
void plan_settings(SetupDraft& draft);
void advise_next_hops(SetupDraft& draft);

}  // namespace forcetls
