// What the checks will want to know of the host.
#include <algorithm>

#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

/// Tables of the policy maps: those before ours, and ours. The others' entries count too, for next
/// hops without a row.
void ask_policy_tables(const PostfixConfig& config, Questions& asked) {
  for (const PostfixService* service : config.services_of("smtp")) {
    const auto tables = config.list(*service, "smtp_tls_policy_maps");
    for (const std::string& table : tables)
      if (!is_our_map(table, "tls") && !is_our_map(table, "default")) asked.tables.insert(table);
    const auto ours = std::find_if(tables.begin(), tables.end(), [](const std::string& table) {
      return is_our_map(table, "tls");
    });
    if (ours == tables.end()) continue;
    for (const std::string& table : tables)
      if (is_our_map(table, "tls")) asked.our_tables.insert(table);
    for (auto table = tables.begin(); table != ours; ++table)
      if (!is_our_map(*table, "default")) asked.policy_tables.insert(*table);
  }
}

/// What names this host's own domains, besides names.
void ask_domains(const PostfixConfig& config, Questions& asked) {
  for (const std::string_view name : kOwnDomainLists)
    for (const std::string& element : config.list(name)) {
      if (element.starts_with('/')) asked.pattern_files.insert(element);
      if (is_table(element)) asked.domain_tables.insert(element);
    }
  asked.tables.insert(asked.domain_tables.begin(), asked.domain_tables.end());
  // Debian's is /etc/mailname.
  if (const auto origin = config.value("myorigin"); origin.starts_with('/'))
    asked.pattern_files.insert(origin);
}

void ask_files(const PostfixConfig& config, const Rule& rule, const std::string& queue_directory,
               Questions& asked) {
  if (rule.outbound.tafile.empty()) return;
  const std::string file(rule.outbound.tafile);
  for (const PostfixService* service : config.services_of("smtp"))
    asked.files.insert(service->chrooted ? queue_directory + file : file);
}

}  // namespace

std::string sample_address(std::string_view key) {
  const auto parsed = NextHopKey::parse(key.starts_with('.') ? key.substr(1) : key);
  if (!parsed || parsed->kind != KeyKind::Name || parsed->text.empty()) return {};
  const std::string_view below = key.starts_with('.') ? "forcetls-doctor." : "";
  return "postmaster@" + std::string(below) + parsed->text;
}

Questions questions_of_policy(const PostfixConfig& config, const RuleStore& policy,
                              const std::string& queue_directory) {
  Questions asked;
  ask_policy_tables(config, asked);
  for (const PostfixService* service : config.services_of("lmtp"))
    for (const std::string& table : config.list(*service, "lmtp_tls_policy_maps"))
      if (!is_our_map(table, "lmtp")) asked.tables.insert(table);
  for (const char* name : {"transport_maps", "sender_dependent_relayhost_maps",
                           "sender_dependent_default_transport_maps", "smtp_tls_per_site"})
    for (std::string& table : routing_tables(config, name)) asked.tables.insert(std::move(table));
  asked.tables.merge(tables_of_recipients(config));
  ask_domains(config, asked);
  for (PlacedTable& table : action_tables(config))
    asked.action_tables.insert(std::move(table.table));
  for (const char* client : {"smtp", "lmtp"})
    for (const PostfixService* service : config.services_of(client))
      for (const std::string& table :
           config.list(*service, std::string(client) + "_discard_ehlo_keyword_address_maps"))
        asked.action_tables.insert(table);
  for (const PostfixService* service : config.services_of("smtp")) {
    for (const std::string& filter : config.list(*service, "smtp_delivery_status_filter"))
      asked.status_filters.insert(filter);
    if (const auto file = config.value(*service, "smtp_tls_CAfile"); !file.empty())
      asked.files.insert(file);
  }
  policy.for_each_rule([&](const Rule& rule) {
    if (rule.mode != Mode::Enforce || !is_forced(rule.outbound.level)) return;
    ask_files(config, rule, queue_directory, asked);
    if (asked.keys.size() >= kMostExaminedRows) return;
    asked.keys.emplace_back(rule.key);
    if (auto address = sample_address(rule.key); !address.empty())
      asked.addresses.insert(std::move(address));
  });
  return asked;
}

}  // namespace forcetls::doctor
