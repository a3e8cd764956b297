// The settings that follow from a Postfix configuration: which transports ask policyd, which
// domains are the site's own, and whether a header is still obeyed.
#include <algorithm>
#include <unordered_set>

#include "shared/core/ascii.h"
#include "shared/core/next_hop_key.h"
#include "shared/mta/setup_draft.h"

namespace forcetls {
namespace {

constexpr std::string_view kFirstTransports = "smtp relay forcetls esmtp";
constexpr std::size_t kMostOwnDomains = 1000;

/// A person has not written this value: it is the first one, or setup wrote it, for this instance
/// or for another that uses the same policy.
bool may_be_filled(const SetupFacts& facts, const std::string& name, std::string_view first) {
  const auto now = facts.settings.find(name);
  return now == facts.settings.end() || now->second == first ||
         facts.filled_by_setup.contains(name);
}

std::vector<std::string> list_now(const SetupFacts& facts, const std::string& name) {
  const auto now = facts.settings.find(name);
  return split_list(now == facts.settings.end() ? std::string_view() : now->second);
}

/// A list that has each item once, in the order in which they came. There may be very many.
class UniqueList {
 public:
  UniqueList() = default;
  explicit UniqueList(const std::vector<std::string>& items) {
    for (const std::string& item : items) add(item);
  }
  void add(const std::string& item) {
    if (known_.insert(item).second) items_.push_back(item);
  }
  const std::vector<std::string>& items() const { return items_; }

 private:
  std::vector<std::string> items_;
  std::unordered_set<std::string> known_;
};

/// Says what a value that a person wrote lacks.
void advise_missing(SetupDraft& draft, const std::string& name,
                    const std::vector<std::string>& wanted, std::string_view consequence) {
  const auto now = list_now(draft.facts(), name);
  const std::unordered_set<std::string> have(now.begin(), now.end());
  std::vector<std::string> missing;
  for (const std::string& item : wanted)
    if (!have.contains(item)) missing.push_back(item);
  if (missing.empty()) return;
  const std::string more =
      missing.size() > 1 ? " and " + std::to_string(missing.size() - 1) + " more" : "";
  draft.advise("setting " + name + " was written by hand and has no " + missing.front() + more +
               ": " + std::string(consequence));
}

std::string joined(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : " ") + item;
  return text;
}

/// Adds to a list what this instance has. What another one added stays.
void fill(SetupDraft& draft, const std::string& name, const std::vector<std::string>& wanted,
          std::string_view reason) {
  UniqueList list(list_now(draft.facts(), name));
  for (const std::string& item : wanted) list.add(item);
  draft.change_setting(name, joined(list.items()), reason);
}

/// What the schema takes for a transport.
bool can_be_listed(std::string_view service) {
  return service.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == service.npos;
}

void fill_enforcing_transports(SetupDraft& draft) {
  constexpr const char* kName = "enforcing_transports";
  UniqueList transports(split_list(kFirstTransports));
  std::vector<std::string> services;
  for (const Place place : draft.config().services_of("smtp")) {
    if (place->type != "unix") continue;
    if (can_be_listed(place->name))
      services.push_back(place->name);
    else
      draft.advise(name_of(place) +
                   ": its name cannot stand in the setting enforcing_transports, so forced mail "
                   "that would leave by it is refused: give it a name of letters, digits, '.', '_' "
                   "and '-'");
  }
  if (!may_be_filled(draft.facts(), kName, kFirstTransports)) {
    advise_missing(draft, kName, services, "forced mail that would leave by it is refused");
    return;
  }
  for (const std::string& service : services) transports.add(service);
  fill(draft, kName, transports.items(), "these services of master.cf ask before they deliver");
}

/// What the schema takes for a domain: lower case, no address.
bool is_domain(std::string_view name) {
  if (name.starts_with('.')) name.remove_prefix(1);
  if (name.empty() || name.size() > 253 || name.find_first_not_of("0123456789.") == name.npos ||
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") != name.npos)
    return false;
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-')
      return false;
    if (label.size() + 1 == name.size()) return false;  // a dot at the end
    name.remove_prefix(std::min(label.size() + 1, name.size()));
  }
  return true;
}

void add_domain(UniqueList& domains, std::string_view text) {
  std::string name(text);
  std::transform(name.begin(), name.end(), name.begin(), ascii_lower);
  // One with other letters is written in A-labels, as for a row.
  if (const auto key = NextHopKey::parse(text);
      key && key->kind == KeyKind::Name && !is_domain(name))
    name = key->text;
  if (is_domain(name)) domains.add(name);
}

bool is_table(std::string_view element) { return element.find(':') != element.npos; }

void advise_on_unread(SetupDraft& draft, std::string_view parameter, const std::string& element) {
  draft.advise("main.cf: " + std::string(parameter) + ": " + element +
               " cannot be read here: if mail for a domain in it must arrive in clear although it "
               "has a row, add the domain: " +
               sqlite_command(draft.facts().policy_db,
                              "UPDATE setting SET value = trim(value || ' DOMAIN') WHERE name = "
                              "'own_domains'"));
}

/// The domains that a list of domains, files and tables names, as far as they can be read.
std::vector<std::string> domains_of(SetupDraft& draft, std::string_view parameter) {
  UniqueList domains;
  const auto take_table = [&](const std::string& element) {
    const auto table = draft.facts().tables.find(element);
    if (table == draft.facts().tables.end()) return advise_on_unread(draft, parameter, element);
    // virtual_alias_domains is virtual_alias_maps by default, which has bare users (root, abuse)
    // too.
    for (const auto& [key, value] : table->second)
      if (key.find('.') != key.npos) add_domain(domains, key);
  };
  const auto take_file = [&](const std::string& element) {
    const auto file = draft.facts().files.find(element);
    if (file == draft.facts().files.end()) return advise_on_unread(draft, parameter, element);
    for (const std::string& inner : patterns_in(file->second)) {
      if (is_table(inner) || inner.starts_with('/'))
        advise_on_unread(draft, parameter, inner);
      else
        add_domain(domains, inner);
    }
  };
  for (const std::string& element : draft.list(nullptr, parameter)) {
    if (element.starts_with('!')) continue;
    if (element.starts_with('/'))
      take_file(element);
    else if (is_table(element))
      take_table(element);
    else
      add_domain(domains, element);
  }
  return domains.items();
}

bool covers_sub_domains(const SetupDraft& draft) {
  const auto lists = draft.list(nullptr, "parent_domain_matches_subdomains");
  return std::find(lists.begin(), lists.end(), "relay_domains") != lists.end();
}

std::vector<std::string> own_domains(SetupDraft& draft) {
  UniqueList own;
  const bool sub_domains = covers_sub_domains(draft);
  for (const std::string_view parameter : kOwnDomainLists)
    for (const std::string& domain : domains_of(draft, parameter)) {
      own.add(domain);
      if (parameter == "relay_domains" && sub_domains && !domain.starts_with('.'))
        own.add("." + domain);
    }
  return own.items();
}

/// What is listed and has a row, but is none of this instance's domains: of another instance, or a
/// partner's by now.
void advise_on_others(SetupDraft& draft, const std::vector<std::string>& own) {
  const auto& rows = draft.facts().rows;
  for (const std::string& domain : list_now(draft.facts(), "own_domains"))
    if (std::find(own.begin(), own.end(), domain) == own.end() &&
        std::any_of(rows.begin(), rows.end(),
                    [&](const SetupRow& row) { return row.in_force && row.key == domain; }))
      draft.advise("setting own_domains has " + domain +
                   ", which has a row and is not received here: unless another instance receives "
                   "for it, take it out, since mail for it is taken in clear");
}

void fill_own_domains(SetupDraft& draft) {
  constexpr const char* kName = "own_domains";
  const std::vector<std::string> own = own_domains(draft);
  if (!may_be_filled(draft.facts(), kName, "")) {
    advise_missing(draft, kName, own,
                   "if it has a row of its own, mail for it must not come in clear");
    return;
  }
  if (own.size() > kMostOwnDomains) {
    draft.advise("more than " + std::to_string(kMostOwnDomains) +
                 " own domains: write those that have a row of their own into the setting "
                 "own_domains yourself");
    return;
  }
  advise_on_others(draft, own);
  fill(draft, kName, own, "mail for them may come in clear (RFC 3207 section 4)");
}

/// From Postfix 3.10 on `auto` refuses the header, since the milter sees the version alone. With
/// tls_required_enable = no, which is part of the plan, nobody obeys it any more.
void let_void_header_pass(SetupDraft& draft) {
  constexpr const char* kName = "tls_required_header";
  if (draft.config().knows("tls_required_enable") && may_be_filled(draft.facts(), kName, "auto"))
    draft.change_setting(kName, "ignore",
                         "tls_required_enable = no: the header TLS-Required: no changes nothing "
                         "any more, and need not be refused");
}

}  // namespace

std::vector<std::string> files_to_read(const PostfixConfig& config) {
  UniqueList files;
  for (const std::string_view parameter : kOwnDomainLists)
    for (const std::string& element : config.list(parameter))
      if (element.starts_with('/')) files.add(element);
  return files.items();
}

void plan_settings(SetupDraft& draft) {
  let_void_header_pass(draft);
  fill_enforcing_transports(draft);
  fill_own_domains(draft);
}

}  // namespace forcetls
