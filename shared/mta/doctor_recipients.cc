// Recipients that the sender did not write: blind copies, aliases, canonical addresses,
// redirections. Mail for a forced domain goes to them, but their own row is asked for.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <span>
#include <unordered_map>

#include "shared/core/ascii.h"
#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

/// Aliases of aliases are followed so far.
constexpr int kMostSteps = 10;
/// So many addresses at most are asked of Postfix.
constexpr std::size_t kMostResolved = 500;
constexpr std::array<std::string_view, 2> kBccMaps{"sender_bcc_maps", "recipient_bcc_maps"};
constexpr std::array<std::string_view, 3> kRewritingMaps{"virtual_alias_maps", "canonical_maps",
                                                         "recipient_canonical_maps"};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), ascii_lower);
  return text;
}

/// The domain that Postfix gives to an address that has none.
std::string origin_of(const Case& the) {
  std::string origin = the.config.value("myorigin");
  const auto file = the.facts.pattern_files.find(origin);
  if (file == the.facts.pattern_files.end()) return lower(std::move(origin));
  const auto names = patterns_in(file->second);
  return names.empty() ? std::string() : lower(names.front());
}

/// True if the list names the domain: itself, by a table or by a file.
bool names_domain(const Case& the, std::string_view parameter, const std::string& domain) {
  const auto is_it = [&domain](std::string_view name) { return equal_ignoring_case(name, domain); };
  for (const std::string& element : the.config.list(parameter)) {
    if (is_it(element)) return true;
    if (const auto table = the.facts.tables.find(element); table != the.facts.tables.end())
      for (const TableEntry& entry : table->second)
        if (is_it(entry.key)) return true;
    if (const auto file = the.facts.pattern_files.find(element);
        file != the.facts.pattern_files.end()) {
      const auto names = patterns_in(file->second);
      if (std::any_of(names.begin(), names.end(), is_it)) return true;
    }
  }
  return false;
}

using Entries = std::unordered_map<std::string, std::string>;

Entries entries_of(const Case& the, std::string_view parameter) {
  Entries entries;
  for (const std::string& table : the.config.list(parameter))
    if (const auto listed = the.facts.tables.find(table); listed != the.facts.tables.end())
      for (const TableEntry& entry : listed->second)
        entries.try_emplace(lower(entry.key), entry.value);
  return entries;
}

/// Follows the aliases of this host, as far as their tables can be listed.
class Aliases {
 public:
  explicit Aliases(const Case& the)
      : the_(the),
        origin_(origin_of(the)),
        virtual_(entries_of(the, "virtual_alias_maps")),
        local_(entries_of(the, "alias_maps")) {}

  /// The addresses at which mail to `address` ends, with their domains; none: in a program or file.
  std::set<std::string> ends_of(const std::string& address) const {
    std::set<std::string> ends, seen;
    follow(address, kMostSteps, seen, ends);
    return ends;
  }

 private:
  void follow(const std::string& address, int steps, std::set<std::string>& seen,
              std::set<std::string>& ends) const {
    if (address.empty() || std::string_view("|/:\"").find(address.front()) != std::string::npos)
      return;
    const std::string full =
        lower(address.find('@') == address.npos ? address + "@" + origin_ : address);
    const std::string* value = steps > 0 && seen.insert(full).second ? alias_of(full) : nullptr;
    if (value == nullptr) {
      ends.insert(full);
      return;
    }
    const std::string user = full.substr(0, full.rfind('@'));
    for (const std::string& next : split_list(*value))
      follow(next.starts_with('@') ? user + next : next, steps - 1, seen, ends);
  }

  const std::string* alias_of(const std::string& full) const {
    const auto at = full.rfind('@');
    const std::string user = full.substr(0, at), domain = full.substr(at + 1);
    const auto find = [](const Entries& entries, const std::string& key) {
      const auto entry = entries.find(key);
      return entry == entries.end() ? nullptr : &entry->second;
    };
    if (const auto* value = find(virtual_, full)) return value;
    const bool is_local = names_domain(the_, "mydestination", domain);
    if (is_local || domain == origin_)
      if (const auto* value = find(virtual_, user)) return value;
    if (const auto* value = find(virtual_, "@" + domain)) return value;
    return is_local ? find(local_, user) : nullptr;
  }

  const Case& the_;
  std::string origin_;
  Entries virtual_, local_;
};

/// An address that mail is sent to beside or instead of its recipient.
struct Recipient {
  std::string place, address;
  std::string instead_of{};             ///< the forced domain; empty: any may be, or it is a copy
  std::optional<Requirement> wanted{};  ///< what that one demands
  bool is_copy = true;
  Certainty certainty = Certainty::Likely;
};

/// The tables of a parameter of cleanup(8), each with its place.
std::vector<PlacedTable> tables_of(const Case& the, std::string_view parameter) {
  std::vector<PlacedTable> tables;
  for (const Place& place : places(the, {"cleanup"}, parameter))
    for (std::string& table : split_list(place.value))
      tables.push_back({where(place, parameter) + ": " + table, std::move(table)});
  return tables;
}

void add_copies(const Case& the, std::vector<Recipient>& recipients) {
  for (const Place& place : places(the, {"cleanup"}, "always_bcc"))
    recipients.push_back({.place = where(place, "always_bcc"),
                          .address = place.value,
                          .certainty = Certainty::Certain});
  for (const std::string_view parameter : kBccMaps)
    for (const auto& [place, table] : tables_of(the, parameter))
      if (const auto listed = the.facts.tables.find(table); listed != the.facts.tables.end())
        for (const TableEntry& entry : listed->second)
          recipients.push_back({.place = place, .address = entry.value});
}

void add_actions(const Case& the, std::vector<Recipient>& recipients) {
  for (const auto& [place, table] : action_tables(the.config)) {
    const auto actions = the.facts.actions.find(table);
    if (actions == the.facts.actions.end()) continue;
    for (const std::string& action : actions->second) {
      recipients.push_back({.place = place, .address = std::string(argument_of(action, "BCC"))});
      recipients.push_back({.place = place,
                            .address = std::string(argument_of(action, "REDIRECT")),
                            .is_copy = false});
    }
  }
}

/// What the entries of aliases make of the recipients of forced domains.
void add_rewritten(const Case& the, std::vector<Recipient>& recipients) {
  for (const std::string_view parameter : kRewritingMaps)
    for (const auto& [place, table] : tables_of(the, parameter)) {
      const auto listed = the.facts.tables.find(table);
      if (listed == the.facts.tables.end()) continue;
      for (const TableEntry& entry : listed->second) {
        const auto at = entry.key.rfind('@');
        const auto wanted = at == entry.key.npos ? std::nullopt : demand_of_pattern(the, entry.key);
        if (!wanted) continue;
        const std::string user = at == 0 ? "postmaster" : entry.key.substr(0, at);
        for (const std::string& value : split_list(entry.value))
          recipients.push_back({.place = place + ": " + entry.key,
                                .address = value.starts_with('@') ? user + value : value,
                                .instead_of = entry.key.substr(at + 1),
                                .wanted = wanted,
                                .is_copy = false});
      }
    }
}

std::vector<Recipient> recipients_of(const Case& the) {
  std::vector<Recipient> recipients;
  add_copies(the, recipients);
  add_actions(the, recipients);
  add_rewritten(the, recipients);
  std::erase_if(recipients, [](const Recipient& one) { return one.address.empty(); });
  return recipients;
}

/// Where a recipient's mail leaves for, and by whom.
struct RecipientHop {
  const PostfixService* client = nullptr;
  std::string next_hop{};  ///< empty: it stays here
};

/// Where Postfix looks for the row of an address; empty: the mail stays on this host.
RecipientHop hop_of(const Case& the, const std::string& address) {
  const auto domain = domain_of_address(address);
  if (!domain) return {};
  const auto route = the.facts.routes.find(address);
  if (route == the.facts.routes.end()) {
    // own_domains does not say it: a relay's domains are there too, and are not delivered here.
    for (const char* list : {"mydestination", "virtual_alias_domains", "virtual_mailbox_domains"})
      if (names_domain(the, list, domain->text)) return {};
    return {client_of(the, {}), domain->text};
  }
  const PostfixService* service = service_of_transport(the, route->second.transport);
  if (service == nullptr || !is_network_client(*service) || stays_here(route->second.next_hop))
    return {};
  return {service, route->second.next_hop};
}

Finding weak_recipient(const Case& the, const Recipient& recipient, const std::string& address,
                       const RecipientHop& hop, const Requirement& wanted) {
  const std::string domain = address.substr(address.rfind('@') + 1);
  const std::string to = equal_ignoring_case(domain, hop.next_hop)
                             ? domain
                             : fmt::format("{} by way of {}", domain, hop.next_hop);
  std::string what =
      fmt::format("Copies go to {}, which is not held to what forced mail demands.", to);
  if (!recipient.is_copy)
    what = fmt::format(
        "Mail for {} goes to {} instead, which is not held to as much.",
        recipient.instead_of.empty() ? "recipients of any domain" : recipient.instead_of, to);
  return {recipient.is_copy ? "bcc-copy" : "rewritten-recipient",
          Severity::Leak,
          recipient.certainty,
          recipient.place,
          std::move(what),
          row_command(the, hop.client, hop.next_hop, wanted)};
}

/// The tables that cannot be listed.
void tell_of_unseen(const Case& the, std::string_view parameter, std::string_view id,
                    std::string_view what, Findings& found) {
  for (const auto& [place, table] : tables_of(the, parameter))
    if (!the.facts.tables.contains(table))
      found.push_back({std::string(id), Severity::Note, Certainty::Possible, place,
                       std::string(what), "forcetls check ADDRESS"});
}

}  // namespace

std::set<std::string> tables_of_recipients(const PostfixConfig& config) {
  std::set<std::string> tables;
  const auto add = [&tables](std::vector<std::string> list) {
    tables.insert(std::make_move_iterator(list.begin()), std::make_move_iterator(list.end()));
  };
  add(config.list("alias_maps"));
  const auto add_everywhere = [&](std::string_view parameter) {
    add(config.list(parameter));
    for (const PostfixService* service : config.services_of("cleanup"))
      add(config.list(*service, parameter));
  };
  for (const std::string_view parameter : kBccMaps) add_everywhere(parameter);
  for (const std::string_view parameter : kRewritingMaps) add_everywhere(parameter);
  return tables;
}

std::set<std::string> addresses_to_resolve(const PostfixConfig& config, const RuleStore& policy,
                                           const HostFacts& facts) {
  const Case the = make_case(config, policy, facts, {});
  const Aliases aliases(the);
  std::set<std::string> addresses;
  for (const Recipient& recipient : recipients_of(the)) {
    if (addresses.size() >= kMostResolved) break;
    addresses.merge(aliases.ends_of(recipient.address));
  }
  return addresses;
}

void check_recipients(const Case& the, Findings& found) {
  const Aliases aliases(the);
  std::set<std::pair<std::string, std::string>> said;
  for (const Recipient& recipient : recipients_of(the))
    for (const std::string& address : aliases.ends_of(recipient.address)) {
      const RecipientHop hop = hop_of(the, address);
      if (hop.next_hop.empty()) continue;
      const std::span<const Requirement> needs =
          recipient.wanted ? std::span(&*recipient.wanted, 1) : std::span(the.needs);
      const Requirement* weak = unmet(the, hop.client, hop.next_hop, needs);
      if (weak == nullptr || !said.insert({recipient.place, hop.next_hop}).second) continue;
      found.push_back(weak_recipient(the, recipient, address, hop, *weak));
    }
  for (const std::string_view parameter : kBccMaps)
    tell_of_unseen(the, parameter, "bcc-copy",
                   "This table cannot be listed here: each domain that it sends copies to needs a "
                   "row as strong as those of forced mail.",
                   found);
  if (!the.has_rows()) return;
  for (const std::string_view parameter : kRewritingMaps)
    tell_of_unseen(the, parameter, "rewritten-recipient",
                   "This table cannot be listed here: each address that it gives instead of one of "
                   "a forced domain needs a row as strong.",
                   found);
}

}  // namespace forcetls::doctor
