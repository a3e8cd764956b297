#include "shared/mta/setup_plan.h"

#include "shared/mta/setup_draft.h"

namespace forcetls {
namespace {

constexpr int kOldestMajor = 3;
constexpr int kOldestMinor = 7;

/// What makes all the rest void, or cannot be done at all.
void refuse_what_cannot_be(SetupDraft& draft) {
  const PostfixConfig& config = draft.config();
  if (!config.at_least(kOldestMajor, kOldestMinor))
    draft.refuse("Postfix " + config.version().text + " is too old: forcetls needs 3.7 or later");
  for (const char* name : {"smtp_tls_per_site", "lmtp_tls_per_site"})
    for (const Place place : draft.places({name}))
      if (!draft.value(place, name).empty())
        draft.refuse(name_of(place) + ": " + name +
                     ": Postfix ignores it as soon as there are policy maps; write its entries as "
                     "rows of domain_policy (MUST = verify, MUST_NOPEERMATCH = encrypt, NONE = "
                     "none), then empty it");
}

}  // namespace

std::string sqlite_command(std::string_view policy_db, std::string_view sql) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+-";
  std::string file(policy_db);
  if (file.find_first_not_of(kPlain) != file.npos) {
    for (auto at = file.find('\''); at != file.npos; at = file.find('\'', at + 4))
      file.replace(at, 1, "'\\''");
    file = "'" + file + "'";
  }
  return "sqlite3 " + file + " \"" + std::string(sql) + "\"";
}

Plan plan_setup(const PostfixConfig& config, const SetupFacts& facts) {
  Plan plan;
  SetupDraft draft(config, facts, plan);
  refuse_what_cannot_be(draft);
  plan_maps(draft);
  plan_delivery(draft);
  plan_admission(draft);
  plan_floors(draft);
  plan_settings(draft);
  advise_next_hops(draft);
  if (!is_yes(config.value("enable_long_queue_ids")))
    draft.advise(
        "enable_long_queue_ids is no: queue ids come again after a while, which makes the log "
        "ambiguous; consider: postconf -e enable_long_queue_ids=yes");
  return plan;
}

}  // namespace forcetls
