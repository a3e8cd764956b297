// The settings that follow from a Postfix configuration: which transports ask policyd, which
// domains are the site's own, and whether a header is still obeyed.
#include <algorithm>

#include "shared/core/ascii.h"
#include "shared/mta/setup_draft.h"

namespace forcetls {
namespace {

constexpr std::string_view kFirstTransports = "smtp relay forcetls esmtp";
constexpr std::size_t kMostOwnDomains = 1000;

/// A person has not written this value: it is the first one, or an earlier --apply wrote it.
bool may_be_filled(const SetupFacts& facts, const std::string& name, std::string_view first) {
  const auto now = facts.settings.find(name);
  if (now == facts.settings.end() || now->second == first) return true;
  const auto before = facts.filled_before.find(name);
  return before != facts.filled_before.end() && before->second == now->second;
}

void add_once(std::vector<std::string>& list, std::string item) {
  if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(std::move(item));
}

/// Says what a value that a person wrote lacks.
void advise_missing(SetupDraft& draft, const std::string& name,
                    const std::vector<std::string>& wanted, std::string_view consequence) {
  const auto now = draft.facts().settings.find(name);
  const auto have = split_list(now == draft.facts().settings.end() ? "" : now->second);
  std::vector<std::string> missing;
  for (const std::string& item : wanted)
    if (std::find(have.begin(), have.end(), item) == have.end()) missing.push_back(item);
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

void fill_enforcing_transports(SetupDraft& draft) {
  std::vector<std::string> services;
  for (const Place place : draft.config().services_of("smtp"))
    if (place->type == "unix") services.push_back(place->name);
  if (!may_be_filled(draft.facts(), "enforcing_transports", kFirstTransports)) {
    advise_missing(draft, "enforcing_transports", services,
                   "forced mail that would leave by it is refused");
    return;
  }
  std::vector<std::string> transports = split_list(kFirstTransports);
  for (const std::string& service : services) add_once(transports, service);
  draft.change_setting("enforcing_transports", joined(transports),
                       "these services of master.cf ask before they deliver");
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

void add_domain(std::vector<std::string>& domains, std::string_view text) {
  std::string name(text);
  std::transform(name.begin(), name.end(), name.begin(), ascii_lower);
  if (is_domain(name)) add_once(domains, std::move(name));
}

bool is_table(std::string_view element) { return element.find(':') != element.npos; }

/// The domains that a list of domains and tables names, as far as they can be listed.
std::vector<std::string> domains_of(const SetupDraft& draft, std::string_view parameter) {
  std::vector<std::string> domains;
  for (const std::string& element : draft.list(nullptr, parameter)) {
    if (!is_table(element)) {
      add_domain(domains, element);
      continue;
    }
    const auto table = draft.facts().tables.find(element);
    if (table == draft.facts().tables.end()) continue;
    // virtual_alias_domains is virtual_alias_maps by default, which has bare users (root, abuse)
    // too.
    for (const auto& [key, value] : table->second)
      if (key.find('.') != key.npos) add_domain(domains, key);
  }
  return domains;
}

bool covers_sub_domains(const SetupDraft& draft) {
  const auto lists = draft.list(nullptr, "parent_domain_matches_subdomains");
  return std::find(lists.begin(), lists.end(), "relay_domains") != lists.end();
}

void fill_own_domains(SetupDraft& draft) {
  std::vector<std::string> own;
  for (const char* parameter :
       {"mydestination", "virtual_alias_domains", "virtual_mailbox_domains"})
    for (const std::string& domain : domains_of(draft, parameter)) add_once(own, domain);
  const bool sub_domains = covers_sub_domains(draft);
  for (const std::string& domain : domains_of(draft, "relay_domains")) {
    add_once(own, domain);
    if (sub_domains && !domain.starts_with('.')) add_once(own, "." + domain);
  }
  if (!may_be_filled(draft.facts(), "own_domains", "")) {
    advise_missing(draft, "own_domains", own,
                   "if it has a row of its own, mail for it must not come in clear");
    return;
  }
  if (own.size() > kMostOwnDomains) {
    draft.advise("more than " + std::to_string(kMostOwnDomains) +
                 " own domains: write those that have a row of their own into the setting "
                 "own_domains yourself");
    return;
  }
  draft.change_setting("own_domains", joined(own),
                       "mail for them may come in clear (RFC 3207 section 4)");
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

void plan_settings(SetupDraft& draft) {
  let_void_header_pass(draft);
  fill_enforcing_transports(draft);
  fill_own_domains(draft);
}

}  // namespace forcetls
