// Does mail for a forced domain go where its own row is asked for, or a row as strong?
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "shared/core/ascii.h"
#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

/// Programs that hand nothing to another host.
bool is_local_program(std::string_view program) {
  for (const char* local : {"local", "virtual", "error", "retry", "discard", "bounce"})
    if (program == local) return true;
  return false;
}

/// A next hop with the domains that go there and what the strictest of them demands.
struct Detour {
  const PostfixService* client;
  std::vector<std::string> domains;
  Requirement wanted;
};

void add(std::map<std::string, Detour>& detours, const std::string& by,
         const PostfixService* client, const ForcedRow& row) {
  const auto [entry, is_new] = detours.try_emplace(by, Detour{client, {}, row.requirement});
  if (!is_new && !satisfies(entry->second.wanted, row.requirement))
    entry->second.wanted = row.requirement;
  entry->second.domains.push_back(row.key);
}

/// A next hop that does not keep what is wanted of it.
struct WeakHop {
  const PostfixService* client;
  std::string next_hop;
  Requirement wanted;
};

/// Routes of the forced rows that are not right, by next hop and by transport.
struct Detours {
  std::map<std::string, Detour> next_hops, lmtp_hops, loopback_hops, transports;
};

bool lmtp_keeps(const Case& the, const PostfixService& client, const std::string& next_hop,
                const Requirement& wanted) {
  return is_this_host(the, next_hop) ||
         (asks_policyd(the, client) && unmet(the, &client, next_hop, {&wanted, 1}) == nullptr);
}

void judge_route(const Case& the, const ForcedRow& row, const std::string& address,
                 const ResolvedRoute& route, Detours& detours) {
  const PostfixService* service = service_of_transport(the, route.transport);
  if (service != nullptr && is_local_program(service->program)) return;
  if (service != nullptr && service->program == "lmtp") {
    if (!lmtp_keeps(the, *service, route.next_hop, row.requirement))
      add(detours.lmtp_hops, route.next_hop, service, row);
    return;
  }
  if (service != nullptr && service->program == "smtp") {
    if (const std::string hop = program_here(the, route.next_hop); !hop.empty())
      add(detours.loopback_hops, hop, service, row);
    if (stays_here(route.next_hop)) return;
  }
  if (service == nullptr || service->program != "smtp" || !asks_policyd(the, *service)) {
    add(detours.transports, route.transport, service, row);
    return;
  }
  const auto domain = domain_of_address(address);
  const auto hop = key_of(route.next_hop);
  if (domain && hop && hop->text == domain->text) return;
  if (unmet(the, service, route.next_hop, {&row.requirement, 1}) != nullptr)
    add(detours.next_hops, route.next_hop, service, row);
}

/// The name comes from a table, and whoever writes that is not always root.
std::string missing_service_command(const Case& the, const std::string& name) {
  if (shell_word(name) != name || name.find('/') != name.npos)
    return "correct the name of the transport in transport_maps";
  return with_reload(the, fmt::format("{} -M {}/unix='{} unix - - y - - smtp'",
                                      with_config_directory(the, "postconf"), name, name));
}

Finding bad_transport(const Case& the, const std::string& name, const Detour& detour) {
  const PostfixService* service = service_of_transport(the, name);
  Finding finding{"route-transport",
                  Severity::Leak,
                  Certainty::Certain,
                  fmt::format("master.cf: {}/unix", name),
                  {},
                  {}};
  if (service == nullptr) {
    finding.severity = Severity::Warning;
    finding.what = fmt::format(
        "Mail for {} is routed to the transport {}, which master.cf does not "
        "have: it waits.",
        some_of(detour.domains), name);
    finding.fix = missing_service_command(the, name);
    return finding;
  }
  if (service->program == "smtp") {
    finding.what = fmt::format("Mail for {} leaves by this transport, which does not ask forcetls.",
                               some_of(detour.domains));
    finding.fix = service->options.contains("smtp_tls_policy_maps")
                      ? unset_command(the, {service, {}, {}}, "smtp_tls_policy_maps")
                      : setup_command(the);
    return finding;
  }
  finding.certainty = Certainty::Possible;
  finding.what = fmt::format(
      "Mail for {} is handed to {}: how that sends it on, forcetls cannot "
      "know.",
      some_of(detour.domains), service->program);
  finding.fix = "route the domain by smtp: in transport_maps";
  return finding;
}

Finding weak_hop(const Case& the, std::string_view id, const std::string& where_it_is,
                 const WeakHop& hop) {
  return {
      std::string(id),
      Severity::Leak,
      Certainty::Certain,
      where_it_is,
      fmt::format("Postfix asks for {} instead of the recipient's domain, and its own row {} "
                  "{}.",
                  hop.next_hop,
                  the.policy.find_rule(hop.next_hop) ? "is weaker than" : "is missing; it must be",
                  to_text(hop.wanted.level)),
      row_command(the, hop.client, hop.next_hop, hop.wanted)};
}

/// Mail, as `what` says, that goes to another program on this host. A row for it, of whatever
/// level, is the word of somebody who has looked there.
Finding loopback_route(const Case& the, const std::string& where_it_is, const std::string& what,
                       const std::string& next_hop) {
  return {
      "loopback-route",
      the.policy.find_rule(next_hop) ? Severity::Note : Severity::Warning,
      Certainty::Possible,
      where_it_is,
      fmt::format("{} is handed to another program on this host at {}, which must enforce by "
                  "itself: whether it sends mail on in clear, forcetls cannot see here.",
                  what, next_hop),
      "forcetls doctor --config-dir DIRECTORY, if that is another Postfix; otherwise route past "
      "it. A row for " +
          next_hop + " says that you have looked"};
}

Finding lmtp_elsewhere(const Case& the, const std::string& where_it_is, const std::string& what,
                       const WeakHop& hop) {
  return {"lmtp-elsewhere",
          Severity::Leak,
          Certainty::Certain,
          where_it_is,
          fmt::format("Mail for {} goes by LMTP to {}, which has no row of its own that is as "
                      "strong.",
                      what, hop.next_hop),
          row_command(the, hop.client, hop.next_hop, hop.wanted)};
}

/// Where the next hop of all other mail stands, if it is this one.
std::string origin_of(const Case& the, const std::string& next_hop) {
  for (const Place& place : routing_places(the, "relayhost"))
    if (equal_ignoring_case(place.value, next_hop)) return where(place, "relayhost");
  for (const char* name : {"default_transport", "relay_transport"})
    for (const Place& place : routing_places(the, name))
      if (destination_in(place.value).next_hop == next_hop) return where(place, name);
  return where(routing_places(the, "transport_maps").front(), "transport_maps");
}

bool knows_routes(const Case& the) { return !the.facts.routes.empty(); }

/// A value "transport:nexthop" or, in relayhost's tables, a bare next hop.
void judge_entry(const Case& the, std::string_view id, const std::string& where_it_is,
                 const Destination& to, Findings& found) {
  const PostfixService* service = client_of(the, to.transport);
  if (to.next_hop.empty() || (service != nullptr && !is_network_client(*service))) return;
  if (service != nullptr && service->program == "lmtp") {
    if (is_this_host(the, to.next_hop)) return;
  } else if (const std::string hop = program_here(the, to.next_hop); !hop.empty()) {
    found.push_back(loopback_route(the, where_it_is, "Mail", hop));
  }
  const Requirement* wanted = unmet(the, service, to.next_hop, the.needs);
  if (wanted == nullptr) return;
  Finding finding = weak_hop(the, id, where_it_is, {service, to.next_hop, *wanted});
  finding.certainty = the.has_rows() ? Certainty::Likely : Certainty::Possible;
  found.push_back(std::move(finding));
}

/// The domain of the recipients that a table's key names; nothing: all, or none.
std::optional<NextHopKey> domain_of_pattern(std::string_view key) {
  const auto at = key.rfind('@');
  const std::string_view name = at == key.npos ? key : key.substr(at + 1);
  const auto domain = NextHopKey::parse(name.starts_with('.') ? name.substr(1) : name);
  if (name.empty() || name == "*" || !domain || domain->kind != KeyKind::Name) return std::nullopt;
  return *domain;
}

void judge_transport_entry(const Case& the, const std::string& table_place, const TableEntry& entry,
                           Findings& found) {
  const auto domain = domain_of_pattern(entry.key);
  const auto wanted = demand_of_pattern(the, entry.key);
  if (!domain || !wanted) return;
  const std::string place = fmt::format("{}: {}", table_place, entry.key);
  const Destination to = destination_in(entry.value);
  const PostfixService* service = client_of(the, to.transport);
  if (service != nullptr && service->program == "lmtp") {
    const WeakHop hop{service, to.next_hop.empty() ? domain->text : to.next_hop, *wanted};
    if (!lmtp_keeps(the, *service, hop.next_hop, *wanted))
      found.push_back(lmtp_elsewhere(the, place, entry.key, hop));
    return;
  }
  if (to.next_hop.empty() || (service != nullptr && service->program != "smtp")) return;
  if (const std::string hop = program_here(the, to.next_hop); !hop.empty())
    found.push_back(loopback_route(the, place, "Mail for " + entry.key, hop));
  if (equal_ignoring_case(to.next_hop, entry.key)) return;
  if (unmet(the, service, to.next_hop, {&*wanted, 1}) != nullptr)
    found.push_back(weak_hop(the, "route-next-hop", place, {service, to.next_hop, *wanted}));
}

void judge_sender_table(const Case& the, std::string_view parameter, const std::string& place,
                        const std::string& table, Findings& found) {
  if (is_our_map(table, "sender")) return;
  const auto listed = the.facts.tables.find(table);
  if (listed == the.facts.tables.end()) {
    found.push_back({"sender-route", Severity::Note, Certainty::Possible, place,
                     "This table cannot be listed here: each next hop that it gives needs a row of "
                     "its own.",
                     "forcetls check '[NEXT.HOP]:PORT'"});
    return;
  }
  std::set<std::string> seen;
  for (const TableEntry& entry : listed->second) {
    if (!seen.insert(entry.value).second) continue;
    const bool is_relay = parameter == "sender_dependent_relayhost_maps";
    const Destination to = is_relay ? Destination{{}, entry.value} : destination_in(entry.value);
    if (to.next_hop == "DUNNO" || to.transport == "DUNNO") continue;
    judge_entry(the, "sender-route", place, to, found);
  }
}

/// A fallback relay, if one of the clients that take this place's value does not hold it to enough.
std::optional<WeakHop> weak_fallback(const Case& the, std::string_view program, const Place& place,
                                     const std::string& relay) {
  const std::string name = std::string(program) + "_fallback_relay";
  for (const PostfixService* client : the.config.services_of(program)) {
    const bool is_meant =
        place.service == nullptr ? !client->options.contains(name) : client == place.service;
    if (!is_meant) continue;
    if (const Requirement* wanted = unmet(the, client, relay, the.needs))
      return WeakHop{client, relay, *wanted};
  }
  return std::nullopt;
}

/// The relays that take over what cannot be delivered, of one client.
void check_fallbacks(const Case& the, std::string_view program, std::string_view name,
                     Findings& found) {
  for (const Place& place : places(the, {program}, name))
    for (const std::string& relay : split_list(place.value)) {
      const std::string here = program == "smtp" ? program_here(the, relay) : std::string();
      if (!here.empty())
        found.push_back(loopback_route(the, where(place, name),
                                       "What a partner cannot take as required", here));
      const auto hop = weak_fallback(the, program, place, relay);
      if (!hop) continue;
      Finding finding = weak_hop(the, "fallback-relay", where(place, name), *hop);
      finding.what =
          "What a partner cannot take as required is handed to this relay. " + finding.what;
      found.push_back(std::move(finding));
    }
}

/// Routes that were asked for and not told: what they may hide is not known.
void tell_of_unknown(const Case& the, const std::vector<std::string>& unknown, Findings& found) {
  if (unknown.empty()) return;
  if (!the.facts.is_running)
    found.push_back({"route-next-hop", Severity::Note, Certainty::Possible,
                     "main.cf: transport_maps",
                     fmt::format("Postfix does not run, so where mail for {} goes has been judged "
                                 "by main.cf alone.",
                                 some_of(unknown)),
                     "postfix start"});
  else
    found.push_back({"route-next-hop", Severity::Warning, Certainty::Possible,
                     "main.cf: transport_maps",
                     fmt::format("Postfix cannot tell now where mail for {} goes, since one of its "
                                 "tables does not answer: mail waits, and the routes have not been "
                                 "examined.",
                                 some_of(unknown)),
                     "journalctl -t postfix/trivial-rewrite -n 20"});
}

}  // namespace

std::optional<Requirement> demand_of_pattern(const Case& the, std::string_view key) {
  const auto domain = domain_of_pattern(key);
  if (!domain) return std::nullopt;
  const auto rule = find_policy(the.policy, *domain, the.now).rule;
  if (!rule || !is_forced(rule->outbound.level)) return std::nullopt;
  return rule->outbound;
}

void check_routes(const Case& the, Findings& found) {
  Detours detours;
  std::vector<std::string> unknown;
  for (const ForcedRow& row : the.forced) {
    const std::string address = sample_address(row.key);
    const auto route = the.facts.routes.find(address);
    if (route != the.facts.routes.end())
      judge_route(the, row, address, route->second, detours);
    else if (!address.empty())
      unknown.push_back(row.key);
  }
  tell_of_unknown(the, unknown, found);
  for (const auto& [next_hop, detour] : detours.next_hops) {
    Finding finding = weak_hop(the, "route-next-hop", origin_of(the, next_hop),
                               {detour.client, next_hop, detour.wanted});
    finding.what =
        fmt::format("Mail for {} goes to {}. ", some_of(detour.domains), next_hop) + finding.what;
    found.push_back(std::move(finding));
  }
  for (const auto& [next_hop, detour] : detours.lmtp_hops)
    found.push_back(lmtp_elsewhere(the, origin_of(the, next_hop), some_of(detour.domains),
                                   {detour.client, next_hop, detour.wanted}));
  for (const auto& [next_hop, detour] : detours.loopback_hops)
    found.push_back(loopback_route(the, origin_of(the, next_hop),
                                   "Mail for " + some_of(detour.domains), next_hop));
  for (const auto& [transport, detour] : detours.transports)
    found.push_back(bad_transport(the, transport, detour));
  if (the.forced_count > the.forced.size() && knows_routes(the))
    found.push_back({"route-next-hop", Severity::Note, Certainty::Possible, "policy.db",
                     fmt::format("Only {} of {} forced rows were looked at one by one.",
                                 the.forced.size(), the.forced_count),
                     "forcetls check DOMAIN"});
}

void check_relayhost(const Case& the, Findings& found) {
  // With the routes of the forced domains known, they have been judged better than can be here.
  if (the.has_rows() && knows_routes(the)) return;
  for (const Place& place : routing_places(the, "relayhost"))
    judge_entry(the, "route-next-hop", where(place, "relayhost"), {{}, place.value}, found);
  for (const char* name : {"default_transport", "relay_transport"})
    for (const Place& place : routing_places(the, name))
      judge_entry(the, "route-next-hop", where(place, name), destination_in(place.value), found);
}

void check_transport_entries(const Case& the, Findings& found) {
  for (const auto& [place, table] : routing_tables(the, "transport_maps")) {
    const auto listed = the.facts.tables.find(table);
    if (listed == the.facts.tables.end()) continue;
    for (const TableEntry& entry : listed->second) {
      // A plain domain's route has been resolved; users and sub-domains have not.
      if (knows_routes(the) && the.facts.routes.contains(sample_address(entry.key))) continue;
      judge_transport_entry(the, place, entry, found);
    }
  }
}

void check_sender_routes(const Case& the, Findings& found) {
  for (const char* name :
       {"sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps"})
    for (const auto& [place, table] : routing_tables(the, name))
      judge_sender_table(the, name, place, table, found);
}

void check_fallback_relay(const Case& the, Findings& found) {
  check_fallbacks(the, "smtp", "smtp_fallback_relay", found);
  check_fallbacks(the, "lmtp", "lmtp_fallback_relay", found);
}

void check_mailbox_transports(const Case& the, Findings& found) {
  for (const char* name : {"virtual_transport", "mailbox_transport", "local_transport"}) {
    const Destination to = destination_in(the.config.value(name));
    const PostfixService* service = service_of_transport(the, to.transport);
    if (service == nullptr || service->program != "lmtp" || to.next_hop.empty()) continue;
    const auto hop = key_of(to.next_hop);
    if (is_this_host(the, to.next_hop) ||
        (hop && find_exact_policy(the.policy, *hop, the.now).rule))
      continue;
    found.push_back({"lmtp-elsewhere", Severity::Note, Certainty::Certain,
                     fmt::format("main.cf: {}", name),
                     fmt::format("Mail for your own mailboxes goes by LMTP to {} as main.cf says, "
                                 "not as a row does.",
                                 to.next_hop),
                     row_command(the, service, to.next_hop, {.level = Level::Encrypt})});
  }
}

}  // namespace forcetls::doctor
