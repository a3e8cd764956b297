#include "policyd/answer.h"

#include "shared/core/requirement.h"
#include "shared/mta/postfix_policy.h"
#include "shared/mta/sendmail_domain.h"
#include "shared/mta/sendmail_policy.h"

namespace forcetls {
namespace {

constexpr std::string_view kNotFound = "NOTFOUND ";

/// What was asked, and the row that decides.
struct Question {
  const RuleStore& store;
  const NextHopKey& key;
  const Finding& finding;
  TimePoint now;
};

std::optional<Requirement> of_row(const Question& asked) {
  if (!asked.finding.rule) return std::nullopt;
  return outbound_requirement(*asked.finding.rule, asked.finding.cap, asked.store.settings().floor);
}

void tell_postfix(std::string& reply, const std::optional<Requirement>& requirement) {
  reply = requirement ? "OK " : kNotFound;
  if (requirement) append_postfix_policy(reply, *requirement);
}

void by_row(std::string& reply, const Question& asked) { tell_postfix(reply, of_row(asked)); }

void by_row_or_settings(std::string& reply, const Question& asked) {
  const auto requirement = of_row(asked);
  tell_postfix(reply,
               requirement ? requirement : default_requirement(asked.store.settings(), asked.key));
}

void for_sendmail(std::string& reply, const Question& asked) {
  reply = sendmail_answer(asked.store, asked.key, asked.now);
}

bool takes_any(const NextHopKey&) { return true; }

struct Map {
  std::string_view name;
  bool (*takes)(const NextHopKey&);
  Finding (*find)(const RuleStore&, const NextHopKey&, TimePoint);
  void (*answer)(std::string& reply, const Question&);
  std::string_view nothing;  ///< the answer where no key at all can have a requirement
};

constexpr Map kMaps[] = {{"tls", takes_any, find_policy, by_row, kNotFound},
                         {"default", takes_any, find_policy, by_row_or_settings, kNotFound},
                         {"lmtp", takes_any, find_exact_policy, by_row, kNotFound},
                         {"sendmail", is_recipient_domain, find_policy, for_sendmail, "OK NONE"}};

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
    reply = "TEMP " + (key ? "the key is no domain of an address" : key.error().context);
    if (demands_nothing(*store)) reply = map->nothing;
    return {};
  }
  const Finding finding = map->find(*store, *key, now);
  map->answer(reply, {*store, *key, finding, now});
  if (!finding.tested || !is_first_question(request)) return {};
  return {finding.tested->key, finding.tested->outbound.level};
}

}  // namespace forcetls
