#include "ctl/setup_facts.h"

#include <unistd.h>

#include <algorithm>
#include <map>

#include "ctl/file_io.h"
#include "ctl/status_filter.h"
#include "shared/db/policy_store.h"
#include "shared/db/setting_table.h"

namespace forcetls {
namespace {

/// The tables that can be listed. Others (pcre:, sqlite: ...) are not known to the plan.
std::map<std::string, SetupFacts::Entries> read_tables(const PostfixInstance& instance,
                                                       const PostfixConfig& postfix) {
  std::map<std::string, SetupFacts::Entries> tables;
  for (const std::string& table : tables_to_list(postfix)) {
    const auto entries = instance.list(table);
    if (!entries) continue;
    for (const TableEntry& entry : *entries) tables[table].emplace_back(entry.key, entry.value);
  }
  return tables;
}

void look_at_status_filter(SetupSurroundings& around, const std::string& config_directory,
                           const SetupManifest& before) {
  const std::string path = config_directory + "/" + std::string(kStatusFilterName);
  const auto content = read_file(path);
  if (content && *content == kStatusFilterTable) return;
  around.files.push_back(
      {path, std::string(kStatusFilterTable), "the table of smtp_delivery_status_filter", {}});
  if (content && !before.has_made(path)) around.files.back().previous = *content;
}

/// A private trust anchor is opened inside the chroot (postfix: postconf(5), smtp_tls_policy_maps).
void look_at_anchor(SetupSurroundings& around, const std::string& queue, const std::string& path,
                    const SetupManifest& before) {
  const std::string inside = queue + path;
  if ((path + "/").find("/../") != path.npos) {
    around.advice.push_back("tafile " + path + " has .. in it: write the path without");
    return;
  }
  const auto here = read_file(path);
  const auto there = read_file(inside);
  if (!here && !there)
    around.advice.push_back("tafile " + path + " is missing (" + inside +
                            "): mail for its rows waits until it is there");
  if (!here || (there && *there == *here)) return;
  if (here->find("PRIVATE KEY-----") != here->npos)
    around.advice.push_back("tafile " + path +
                            " has a private key in it, which nobody else may read: name a file "
                            "with the certificate alone");
  else if (there && !before.has_made(inside))
    around.advice.push_back("tafile " + inside + " differs from " + path +
                            ": Postfix uses the former, inside its chroot");
  else
    around.files.push_back(
        {inside, *here, "the trust anchor of a row, where Postfix opens it", {}});
}

void look_at_anchors(SetupSurroundings& around, const RuleStore& policy,
                     const PostfixInstance& instance, const PostfixConfig& postfix,
                     const SetupManifest& before) {
  const auto services = postfix.services_of("smtp");
  if (std::none_of(services.begin(), services.end(),
                   [](const PostfixService* service) { return service->chrooted; }))
    return;
  std::vector<std::string> paths;
  policy.for_each_rule([&](const Rule& rule) {
    if (!rule.outbound.tafile.empty()) paths.emplace_back(rule.outbound.tafile);
  });
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  for (const std::string& path : paths)
    look_at_anchor(around, instance.queue_directory(), path, before);
}

}  // namespace

Result<SetupSurroundings> look_around(const Config& config, const SetupOptions& options,
                                      const PostfixInstance& instance, const PostfixConfig& postfix,
                                      const SetupManifest& before) {
  const auto policy = load_policy(config.policy_db, Locking::AfterPatience);
  if (!policy) return fail(policy.error());
  auto settings = read_settings(config.policy_db);
  if (!settings) return fail(std::move(settings).error());
  auto filled = settings_written_by(config.policy_db, kSetupAuthor);
  if (!filled) return fail(std::move(filled).error());
  SetupSurroundings around;
  SetupFacts& facts = around.facts;
  facts.bounce_bodies = options.bounce_bodies;
  facts.has_ca_bundle = ::access(std::string(kCaBundle).c_str(), R_OK) == 0;
  facts.policy_db = config.policy_db;
  facts.settings = *std::move(settings);
  facts.filled_by_setup = *std::move(filled);
  policy->rows->for_each_rule([&](const Rule& rule) {
    facts.rows.push_back({std::string(rule.key), rule.outbound.level, rule.mode == Mode::Enforce});
  });
  facts.tables = read_tables(instance, postfix);
  for (const std::string& path : files_to_read(postfix))
    if (auto text = read_file(path)) facts.files.emplace(path, *std::move(text));
  look_at_status_filter(around, instance.config_directory(), before);
  look_at_anchors(around, *policy->rows, instance, postfix, before);
  return around;
}

}  // namespace forcetls
