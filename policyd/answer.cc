#include "policyd/answer.h"

#include "shared/core/requirement.h"
#include "shared/mta/postfix_policy.h"

namespace forcetls {
namespace {

using Answer = std::optional<Requirement> (*)(const RuleStore&, const NextHopKey&, const Finding&);

std::optional<Requirement> of_row(const RuleStore& store, const NextHopKey&,
                                  const Finding& finding) {
  if (!finding.rule) return std::nullopt;
  return outbound_requirement(*finding.rule, finding.cap, store.settings().floor);
}

std::optional<Requirement> of_row_or_settings(const RuleStore& store, const NextHopKey& key,
                                              const Finding& finding) {
  if (const auto requirement = of_row(store, key, finding)) return requirement;
  return default_requirement(store.settings(), key);
}

struct Map {
  std::string_view name;
  Finding (*find)(const RuleStore&, const NextHopKey&, TimePoint);
  Answer answer;
};

constexpr Map kMaps[] = {{"tls", find_policy, of_row},
                         {"default", find_policy, of_row_or_settings},
                         {"lmtp", find_exact_policy, of_row}};

/// Postfix asks for a name first of all by itself and in map tls; then in the other map, and by its
/// .parents. What was told once is not told again.
bool is_first_question(const MapRequest& request) {
  return request.map != "default" && !request.key.starts_with('.');
}

const Map* map_named(std::string_view name) {
  for (const Map& map : kMaps)
    if (map.name == name) return &map;
  return nullptr;
}

}  // namespace

TestedRow answer_map(const RuleStore* store, const MapRequest& request, TimePoint now,
                     std::string& reply) {
  const Map* map = map_named(request.map);
  if (map == nullptr) {
    reply = "TEMP forcetls-policyd has no such map: use tls, default or lmtp";
    return {};
  }
  if (store == nullptr) {
    reply = "TEMP the TLS policy cannot be read, see the log of forcetls-policyd";
    return {};
  }
  const auto key = NextHopKey::parse(request.key);
  if (!key) {
    reply = demands_nothing(*store) ? "NOTFOUND " : "TEMP " + key.error().context;
    return {};
  }
  const Finding finding = map->find(*store, *key, now);
  const auto requirement = map->answer(*store, *key, finding);
  reply = requirement ? "OK " : "NOTFOUND ";
  if (requirement) append_postfix_policy(reply, *requirement);
  if (!finding.tested || !is_first_question(request)) return {};
  return {finding.tested->key, finding.tested->outbound.level};
}

}  // namespace forcetls
