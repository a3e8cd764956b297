#include "policyd/answer.h"

#include "shared/core/requirement.h"
#include "shared/mta/postfix_policy.h"

namespace forcetls {
namespace {

using Answer = std::optional<Requirement> (*)(const RuleStore&, const NextHopKey&, TimePoint);

std::optional<Requirement> of_row(const Finding& finding) {
  if (!finding.rule) return std::nullopt;
  return outbound_requirement(*finding.rule, finding.cap);
}

std::optional<Requirement> answer_tls(const RuleStore& store, const NextHopKey& key,
                                      TimePoint now) {
  return of_row(find_policy(store, key, now));
}

std::optional<Requirement> answer_lmtp(const RuleStore& store, const NextHopKey& key,
                                       TimePoint now) {
  return of_row(find_exact_policy(store, key, now));
}

std::optional<Requirement> answer_default(const RuleStore& store, const NextHopKey& key,
                                          TimePoint now) {
  return effective_requirement(store, key, now);
}

struct Map {
  std::string_view name;
  Answer answer;
};

constexpr Map kMaps[] = {{"tls", answer_tls}, {"default", answer_default}, {"lmtp", answer_lmtp}};

/// True if no key at all can have a requirement, so that one which cannot be converted has none.
bool demands_nothing(const RuleStore& store) {
  const Settings& settings = store.settings();
  return store.empty() && settings.default_outbound != DefaultOutbound::Encrypt &&
         settings.unlisted_relay != UnlistedRelay::Encrypt;
}

Answer map_named(std::string_view name) {
  for (const Map& map : kMaps)
    if (map.name == name) return map.answer;
  return nullptr;
}

}  // namespace

void answer_map(const RuleStore* store, const MapRequest& request, TimePoint now,
                std::string& reply) {
  reply.clear();
  const Answer answer = map_named(request.map);
  if (answer == nullptr) {
    reply = "TEMP forcetls-policyd has no such map: use tls, default or lmtp";
    return;
  }
  if (store == nullptr) {
    reply = "TEMP the TLS policy cannot be read, see the log of forcetls-policyd";
    return;
  }
  const auto key = NextHopKey::parse(request.key);
  if (!key && !demands_nothing(*store)) {
    reply = "TEMP " + key.error().context;
    return;
  }
  const auto requirement = key ? answer(*store, *key, now) : std::nullopt;
  if (!requirement) {
    reply = "NOTFOUND ";
    return;
  }
  reply = "OK ";
  append_postfix_policy(reply, *requirement);
}

}  // namespace forcetls
