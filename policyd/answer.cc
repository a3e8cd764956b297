#include "policyd/answer.h"

#include "shared/core/requirement.h"
#include "shared/mta/postfix_policy.h"
#include "shared/mta/sendmail_policy.h"

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

void tell_postfix(std::string& reply, const std::optional<Requirement>& requirement) {
  reply = requirement ? "OK " : "NOTFOUND ";
  if (requirement) append_postfix_policy(reply, *requirement);
}

void tell_sendmail(std::string& reply, const std::optional<Requirement>& requirement) {
  reply.clear();
  append_sendmail_answer(reply, requirement);
}

bool takes_any(const NextHopKey&) { return true; }

struct Map {
  std::string_view name;
  bool (*takes)(const NextHopKey&);
  Finding (*find)(const RuleStore&, const NextHopKey&, TimePoint);
  Answer answer;
  void (*tell)(std::string& reply, const std::optional<Requirement>&);
};

constexpr Map kMaps[] = {
    {"tls", takes_any, find_policy, of_row, tell_postfix},
    {"default", takes_any, find_policy, of_row_or_settings, tell_postfix},
    {"lmtp", takes_any, find_exact_policy, of_row, tell_postfix},
    {"sendmail", is_recipient_domain, find_policy, of_row_or_settings, tell_sendmail}};

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
    reply = "TEMP forcetls-policyd has no such map: use tls, default, lmtp or sendmail";
    return {};
  }
  if (store == nullptr) {
    reply = "TEMP the TLS policy cannot be read, see the log of forcetls-policyd";
    return {};
  }
  const auto key = NextHopKey::parse(request.key);
  if (!key || !map->takes(*key)) {
    reply =
        "TEMP " + (key ? "'" + key->text + "' is no domain of an address" : key.error().context);
    if (demands_nothing(*store)) map->tell(reply, std::nullopt);
    return {};
  }
  const Finding finding = map->find(*store, *key, now);
  map->tell(reply, map->answer(*store, *key, finding));
  if (!finding.tested || !is_first_question(request)) return {};
  return {finding.tested->key, finding.tested->outbound.level};
}

}  // namespace forcetls
