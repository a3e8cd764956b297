// The next hops that a configuration names: Postfix asks for them instead of the recipient's
// domain, so each needs a row of its own if mail for forced domains may go by way of it.
#include <algorithm>
#include <array>
#include <unordered_set>

#include "shared/core/requirement.h"
#include "shared/mta/setup_draft.h"

namespace forcetls {
namespace {

/// How a parameter, or the result of its table, spells a next hop.
enum class Form {
  NextHop,    ///< relayhost: [relay.example]:587
  Transport,  ///< content_filter: smtp:[filter.example]:10025
  Host,       ///< smtpd_proxy_filter: host:port, without TLS whatever the table says
};

struct Source {
  std::string_view parameter;
  Form form;
  bool is_table;  ///< a list of tables, whose results are meant
};

constexpr std::array<Source, 10> kSources{{
    {"relayhost", Form::NextHop, false},
    {"smtp_fallback_relay", Form::NextHop, false},
    {"default_transport", Form::Transport, false},
    {"relay_transport", Form::Transport, false},
    {"content_filter", Form::Transport, false},
    {"default_filter_nexthop", Form::NextHop, false},
    {"smtpd_proxy_filter", Form::Host, false},
    {"transport_maps", Form::Transport, true},
    {"sender_dependent_relayhost_maps", Form::NextHop, true},
    {"sender_dependent_default_transport_maps", Form::Transport, true},
}};

/// The next hop in "smtp:[host]:25"; empty where there is none, or the transport runs neither smtp
/// nor lmtp over TCP.
std::string next_hop_of(const SetupDraft& draft, const std::string& text) {
  const auto colon = text.find(':');
  if (colon == text.npos) return {};
  const PostfixService* service = draft.config().find_service(text.substr(0, colon), "unix");
  if (service == nullptr || service->program != "smtp") return {};
  return text.substr(colon + 1);
}

/// The command that gives `key` a row. Keys come from tables too, and whoever writes those is not
/// always root: nothing that a shell, or SQL, would take for its own becomes part of it.
std::string proposed_row(const SetupDraft& draft, std::string_view key) {
  constexpr std::string_view kHost = "abcdefghijklmnopqrstuvwxyz0123456789.:_[]-";
  if (key.find_first_not_of(kHost) != key.npos) return "give it a row";
  return sqlite_command(
      draft.facts().policy_db,
      "INSERT INTO domain_policy(domain, outbound) VALUES ('" + std::string(key) + "', 'verify')");
}

/// The most proposals that are printed one by one.
constexpr std::size_t kMostProposals = 20;

/// A next hop without a row.
struct Proposal {
  std::string where, next_hop, key;
};

/// Each once. There may be very many.
struct Proposals {
  std::unordered_set<std::string> settled{};  ///< the keys of rows and of `list`
  std::vector<Proposal> list{};
};

/// What follows the last colon, unless that is part of an address in brackets; else `otherwise`.
std::string_view port_in(std::string_view text, std::string_view otherwise) {
  const auto colon = text.rfind(':');
  const auto close = text.find(']');
  if (colon == text.npos || (close != text.npos && colon < close)) return otherwise;
  return text.substr(colon + 1);
}

std::string_view number_of_port(std::string_view port) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kPorts{
      {{"smtp", "25"}, {"submission", "587"}, {"submissions", "465"}, {"smtps", "465"}}};
  for (const auto& [name, number] : kPorts)
    if (port == name) return number;
  return port;
}

bool is_loopback_text(std::string_view host) {
  const auto key = NextHopKey::parse(host);
  return key && is_loopback(*key);
}

/// True if a listener without a host of its own is reached by loopback.
bool listens_on_loopback(const PostfixConfig& config, const PostfixService& service) {
  const auto interfaces = config.list(service, "inet_interfaces");
  return std::any_of(interfaces.begin(), interfaces.end(), [](const std::string& interface) {
    return interface == "all" || interface == "loopback-only" || is_loopback_text(interface) ||
           is_loopback_text("[" + interface + "]");
  });
}

void propose_row(SetupDraft& draft, const Source& source, const std::string& where,
                 const std::string& next_hop, Proposals& proposals) {
  const auto key = NextHopKey::parse(next_hop);
  if (!key || key->text.empty() || key->kind == KeyKind::LocalPath) return;
  if (is_loopback(*key)) {
    // A filter hands mail back.
    const bool is_filter =
        source.parameter == "content_filter" || source.parameter == "default_filter_nexthop";
    if (!is_filter && !is_own_listener(draft.config(), *key))
      draft.advise(where + " hands mail to another program on this host at " + next_hop +
                   ", which must enforce by itself");
    return;
  }
  if (proposals.settled.insert(key->text).second)
    proposals.list.push_back({where, next_hop, key->text});
}

void print(SetupDraft& draft, const std::vector<Proposal>& proposals) {
  for (std::size_t i = 0; i < std::min(proposals.size(), kMostProposals); ++i)
    draft.advise(
        proposals[i].where + " sends mail to " + proposals[i].next_hop +
        ", and Postfix asks for that instead of the recipient's domain. Without a row for it, "
        "what this host itself sends or forwards to a forced domain leaves that way in "
        "clear if need be: " +
        proposed_row(draft, proposals[i].key));
  if (proposals.size() > kMostProposals)
    draft.advise("and " + std::to_string(proposals.size() - kMostProposals) +
                 " more next hops without a row");
}

void look_at(SetupDraft& draft, const Source& source, const std::string& text, Place place,
             Proposals& proposals) {
  const std::string where = name_of(place) + ": " + std::string(source.parameter);
  switch (source.form) {
    case Form::NextHop:
      return propose_row(draft, source, where, text, proposals);
    case Form::Transport:
      return propose_row(draft, source, where, next_hop_of(draft, text), proposals);
    case Form::Host: {
      const auto key = NextHopKey::parse(text.starts_with("inet:") ? text.substr(5) : text);
      // Without a host before the port it is this one.
      if (!key || key->kind != KeyKind::NextHop || is_loopback(*key) || key->text.front() == ':')
        return;
      draft.advise(where + " hands all that comes in to " + text +
                   " in clear, and no row can hold that up: keep such filters on this host");
    }
  }
}

std::vector<std::string> elements_of(SetupDraft& draft, Place place, const Source& source) {
  auto elements = draft.list(place, source.parameter);
  if (!source.is_table) return elements;
  std::vector<std::string> results;
  for (const std::string& table : elements) {
    const auto found = draft.facts().tables.find(table);
    if (found == draft.facts().tables.end())
      draft.advise(name_of(place) + ": " + std::string(source.parameter) + ": " + table +
                   " cannot be listed: look for next hops in it yourself, each needs a row");
    else
      for (const auto& [key, value] : found->second) results.push_back(value);
  }
  return results;
}

}  // namespace

std::vector<std::string> tables_to_list(const PostfixConfig& config) {
  std::vector<std::string> tables;
  const auto take = [&](std::string_view parameter) {
    for (std::string& element : config.list(parameter))
      if (element.find(':') != element.npos &&
          std::find(tables.begin(), tables.end(), element) == tables.end())
        tables.push_back(std::move(element));
  };
  for (const Source& source : kSources)
    if (source.is_table) take(source.parameter);
  for (const std::string_view parameter : kOwnDomainLists) take(parameter);
  return tables;
}

bool is_own_listener(const PostfixConfig& config, const NextHopKey& key) {
  const std::string_view port = number_of_port(port_in(key.text, "25"));
  const auto& services = config.services();
  return std::any_of(services.begin(), services.end(), [&](const PostfixService& service) {
    if (service.type != "inet" || (service.program != "smtpd" && service.program != "postscreen"))
      return false;
    if (number_of_port(port_in(service.name, service.name)) != port) return false;
    return service.name.find(':') == service.name.npos ? listens_on_loopback(config, service)
                                                       : is_loopback_text(service.name);
  });
}

void advise_next_hops(SetupDraft& draft) {
  Proposals proposals;
  for (const SetupRow& row : draft.facts().rows) proposals.settled.insert(row.key);
  for (const Source& source : kSources)
    for (const Place place : draft.places({source.parameter}))
      for (const std::string& text : elements_of(draft, place, source))
        look_at(draft, source, text, place, proposals);
  print(draft, proposals.list);
}

}  // namespace forcetls
