#include "shared/mta/setup_draft.h"

#include <algorithm>

namespace forcetls {

std::string ParameterChange::where() const {
  return service.empty() ? "main.cf: " + name : "master.cf: " + service + ": -o " + name;
}

std::string name_of(Place place) {
  return place == nullptr ? "main.cf" : "master.cf: " + place->label();
}

std::string around(std::string_view first, std::string_view own, std::string_view last) {
  std::string text;
  for (const std::string_view part : {first, own, last}) {
    if (!text.empty() && !part.empty()) text += ", ";
    text += part;
  }
  return text;
}

std::vector<Place> SetupDraft::places(std::initializer_list<std::string_view> names) const {
  std::vector<Place> found{nullptr};
  for (const PostfixService& service : config_.services())
    if (std::any_of(names.begin(), names.end(),
                    [&](std::string_view name) { return service.options.contains(name); }))
      found.push_back(&service);
  return found;
}

std::optional<std::string_view> SetupDraft::raw(Place place, std::string_view name) const {
  const std::string label = place == nullptr ? std::string() : place->label();
  const auto changed = [&](std::string_view service) -> std::optional<std::string_view> {
    for (const ParameterChange& change : plan_.parameters)
      if (change.service == service && change.name == name) return change.value;
    return std::nullopt;
  };
  if (place != nullptr) {
    if (const auto value = changed(label)) return value;
    if (const auto own = place->options.find(name); own != place->options.end()) return own->second;
    if (name == "service_name") return place->name;
  }
  if (const auto value = changed({})) return value;
  if (config_.is_set(name)) return config_.text_in_main_cf(name);
  if (!config_.knows(name)) return std::nullopt;
  return defaults_.try_emplace(std::string(name), config_.value(name)).first->second;
}

std::string SetupDraft::text(Place place, std::string_view name) const {
  return std::string(raw(place, name).value_or(std::string_view()));
}

std::string SetupDraft::value(Place place, std::string_view name) const {
  const auto lookup = [&](std::string_view asked) { return raw(place, asked); };
  return std::string(without_blanks(expand(text(place, name), lookup)));
}

std::vector<std::string> SetupDraft::list(Place place, std::string_view name) const {
  return split_list(value(place, name));
}

void SetupDraft::change(Place place, std::string_view name, std::string value,
                        std::string_view reason) {
  plan_.parameters.push_back({place == nullptr ? std::string() : place->label(), std::string(name),
                              std::move(value), std::string(reason)});
}

void SetupDraft::change_setting(std::string_view name, std::string value, std::string_view reason) {
  const auto now = facts_.settings.find(std::string(name));
  if (now != facts_.settings.end() && now->second == value) return;
  plan_.settings.push_back({std::string(name), std::move(value), std::string(reason)});
}

void SetupDraft::advise(std::string line) {
  if (std::find(plan_.advice.begin(), plan_.advice.end(), line) == plan_.advice.end())
    plan_.advice.push_back(std::move(line));
}

void SetupDraft::want(std::string_view name, const std::function<bool(std::string_view)>& good,
                      std::string_view wanted, std::string_view reason) {
  for (const Place place : places({name}))
    if (!good(value(place, name))) change(place, name, std::string(wanted), reason);
}

}  // namespace forcetls
