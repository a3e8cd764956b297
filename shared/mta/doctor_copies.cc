// Copies of a message that leave by other ways than its delivery: filters, proxies and milters on
// other hosts, and filters that queued messages remember.
#include <fmt/format.h>

#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

/// The hop by which a content filter takes mail off this host, with what it must keep.
struct Hop {
  const PostfixService* client;
  std::string next_hop;
  const Requirement* wanted;
};

std::optional<Hop> weak_filter(const Case& the, std::string_view filter) {
  Destination to = destination_in(filter);
  const PostfixService* service = service_of_transport(the, to.transport);
  if (to.next_hop.empty())
    to.next_hop = places(the, {"qmgr", "oqmgr"}, "default_filter_nexthop").front().value;
  // Without any next hop the recipient's own domain is asked for.
  if (service == nullptr || !is_network_client(*service) || to.next_hop.empty()) return {};
  if (is_this_host(the, to.next_hop)) return {};
  const Requirement* wanted = unmet(the, service, to.next_hop, the.needs);
  if (wanted == nullptr) return {};
  return Hop{service, to.next_hop, wanted};
}

/// host:port, [host]:port, inet:host:port, port or unix:path, as smtpd_proxy_filter takes them.
bool proxy_stays_here(const Case& the, std::string_view proxy) {
  if (proxy.starts_with("inet:")) proxy.remove_prefix(5);
  if (proxy.find(':') == proxy.npos) return true;
  return is_this_host(the, proxy);
}

/// The host of a milter that is not this one; empty otherwise.
std::string remote_milter(const Case& the, const std::string& element) {
  const auto parts = inside_braces(element);
  const std::string_view address = parts.empty() ? std::string_view() : parts.front();
  if (!address.starts_with("inet:") && !address.starts_with("inet6:")) return {};
  std::string_view host = address.substr(address.find(':') + 1);
  // Sendmail's order is inet:port@host.
  const auto at = host.find('@');
  const std::string spelt = at == host.npos
                                ? std::string(host)
                                : fmt::format("{}:{}", host.substr(at + 1), host.substr(0, at));
  return is_this_host(the, spelt) ? std::string() : spelt;
}

std::string list_without(std::string_view text, const std::string& element) {
  std::string list;
  for (const std::string& other : split_list(text))
    if (other != element) list += (list.empty() ? "" : ", ") + other;
  return list;
}

}  // namespace

void judge_filter_action(const Case& the, const std::string& place, std::string_view filter,
                         Findings& found) {
  const auto weak = weak_filter(the, filter);
  if (!weak) return;
  found.push_back({"content-filter", Severity::Leak, Certainty::Likely, place,
                   fmt::format("FILTER {} sends mail to {}, which has no row that is {}.", filter,
                               weak->next_hop, to_text(weak->wanted->level)),
                   row_command(the, weak->client, weak->next_hop, *weak->wanted)});
}

void check_content_filter(const Case& the, Findings& found) {
  constexpr std::string_view kName = "content_filter";
  for (const Place& place : places(the, {"smtpd", "pickup", "qmqpd", "qmgr"}, kName))
    if (const auto weak = weak_filter(the, place.value))
      found.push_back(
          {"content-filter", Severity::Leak, Certainty::Certain, where(place, kName),
           fmt::format("All mail goes to the filter {} first, which has no row that is {}.",
                       weak->next_hop, to_text(weak->wanted->level)),
           row_command(the, weak->client, weak->next_hop, *weak->wanted)});
}

void check_proxy_filter(const Case& the, Findings& found) {
  constexpr std::string_view kName = "smtpd_proxy_filter";
  for (const Place& place : places(the, {"smtpd"}, kName))
    if (!place.value.empty() && !proxy_stays_here(the, place.value))
      found.push_back({"proxy-filter", Severity::Leak, Certainty::Certain, where(place, kName),
                       fmt::format("smtpd hands all mail to {} in clear: a proxy filter never uses "
                                   "TLS. Put it on this host, or use content_filter.",
                                   place.value),
                       place.service == nullptr ? unset_command(the, place, kName)
                                                : set_command(the, place, kName, "")});
}

void check_milter_hosts(const Case& the, Findings& found) {
  for (const auto& [name, program] :
       {std::pair("smtpd_milters", "smtpd"), std::pair("non_smtpd_milters", "cleanup")})
    for (const Place& place : places(the, {program}, name))
      for (const std::string& element : split_list(place.value)) {
        const std::string host = remote_milter(the, element);
        if (host.empty()) continue;
        found.push_back({"milter-elsewhere", Severity::Leak, Certainty::Certain, where(place, name),
                         fmt::format("The milter at {} is given every message in clear. Reach it "
                                     "by a tunnel that listens on this host.",
                                     host),
                         set_command(the, place, name, list_without(place.value, element))});
      }
}

void check_queued_filters(const Case& the, Findings& found) {
  for (const QueuedFilter& message : the.facts.queued_filters)
    if (const auto weak = weak_filter(the, message.filter))
      found.push_back(
          {"queued-filter", Severity::Leak, Certainty::Certain,
           fmt::format("queue: {}", message.queue_id),
           fmt::format("This message goes to the filter {} whatever main.cf says now, "
                       "and that has no row that is {}.",
                       weak->next_hop, to_text(weak->wanted->level)),
           fmt::format("postsuper {}-r {}",
                       the.facts.config_directory.empty()
                           ? ""
                           : fmt::format("-c {} ", shell_word(the.facts.config_directory)),
                       shell_word(message.queue_id))});
  if (!the.facts.whole_queue_seen)
    found.push_back({"queued-filter", Severity::Note, Certainty::Possible, "queue",
                     "There are too many messages to look at each: others may remember a filter.",
                     "run it again when there are fewer"});
}

}  // namespace forcetls::doctor
