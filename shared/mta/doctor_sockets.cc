// Can Postfix's services reach our sockets, each from where it stands?
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

constexpr std::string_view kMilterUnit = "forcetls-milter";

/// A list in which one of our sockets is named.
struct Mention {
  const PostfixService* service;
  std::string_view parameter;
  std::string address;
  bool chrooted;
  std::string_view unit;  ///< which daemon listens there

  SocketQuestion question() const { return {address, chrooted, unit == kMilterUnit}; }
};

void add_maps(const PostfixConfig& config, std::string_view program, std::string_view parameter,
              std::vector<Mention>& mentions) {
  const auto proxies = config.services_of("proxymap");
  const bool proxy_chrooted = !proxies.empty() && proxies.front()->chrooted;
  for (const PostfixService* service : config.services_of(program))
    for (const std::string& table : config.list(*service, parameter))
      for (const char* name : {"tls", "default", "lmtp"})
        if (is_our_map(table, name))
          mentions.push_back({service, parameter, socket_of_map(table),
                              table.starts_with("proxy:") ? proxy_chrooted : service->chrooted,
                              "forcetls-policyd"});
}

std::vector<Mention> mentions_in(const PostfixConfig& config, const std::set<std::string>& ours) {
  std::vector<Mention> mentions;
  add_maps(config, "smtp", "smtp_tls_policy_maps", mentions);
  add_maps(config, "lmtp", "lmtp_tls_policy_maps", mentions);
  constexpr std::string_view kRestrictions = "smtpd_recipient_restrictions";
  for (const PostfixService* service : config.services_of("smtpd")) {
    if (const auto policy = our_policy_service(config.list(*service, kRestrictions), ours))
      mentions.push_back({service, kRestrictions, address_in(policy->element), service->chrooted,
                          "forcetls-policyd"});
    if (const auto milter = our_milter(config.list(*service, "smtpd_milters"), ours))
      mentions.push_back(
          {service, "smtpd_milters", address_in(*milter), service->chrooted, kMilterUnit});
  }
  for (const PostfixService* service : config.services_of("cleanup"))
    if (const auto milter = our_milter(config.list(*service, "non_smtpd_milters"), ours))
      mentions.push_back(
          {service, "non_smtpd_milters", address_in(*milter), service->chrooted, kMilterUnit});
  return mentions;
}

/// One for each address and chroot: services that rely on main.cf say the same.
std::vector<Mention> failing(const Case& the) {
  std::vector<Mention> failures;
  std::set<std::pair<std::string, SocketQuestion>> seen;
  for (Mention& mention : mentions_in(the.config, the.facts.our_addresses)) {
    const SocketQuestion question = mention.question();
    if (!the.facts.socket_failures.contains(question)) continue;
    if (!mention.service->options.contains(mention.parameter)) mention.service = nullptr;
    const std::string place = mention.service == nullptr ? "" : mention.service->label();
    if (seen.emplace(place + std::string(mention.parameter), question).second)
      failures.push_back(mention);
  }
  return failures;
}

/// The package's unit. Restarting a socket also makes its file again, and restarts the daemon. A
/// socket elsewhere, as of another instance, is none of the package's.
std::string unit_to_restart(const Case& the, const Mention& mention) {
  const auto slash = mention.address.rfind('/') + 1;
  const std::string_view name = std::string_view(mention.address).substr(slash);
  const std::string_view directory = std::string_view(mention.address).substr(0, slash);
  const bool is_usual = directory == "unix:/var/spool/postfix/forcetls/" ||
                        (directory == "unix:forcetls/" &&
                         the.config.value("queue_directory") == "/var/spool/postfix");
  for (const std::string_view ours : {"map.sock", "policy.sock", "milter.sock"})
    if (is_usual && name == ours) return fmt::format("forcetls-{}et", name);
  return std::string(mention.unit);
}

bool is_absolute(std::string_view address) { return address.starts_with("unix:/"); }

Place place_of(const Case& the, const Mention& mention) {
  if (mention.service == nullptr)
    return {nullptr, the.config.value(mention.parameter),
            std::string(the.config.text_in_main_cf(mention.parameter))};
  return {mention.service, the.config.value(*mention.service, mention.parameter),
          the.config.value(*mention.service, mention.parameter)};
}

/// The same list with the path relative to the queue directory, which is right everywhere.
std::string with_relative_path(std::string text, const std::string& address) {
  const std::string relative = "unix:forcetls" + address.substr(address.rfind('/'));
  for (auto at = text.find(address); at != text.npos; at = text.find(address, at + relative.size()))
    text.replace(at, address.size(), relative);
  return text;
}

}  // namespace

void check_socket_paths(const Case& the, Findings& found) {
  for (const Mention& mention : failing(the)) {
    if (!mention.chrooted || !is_absolute(mention.address)) continue;
    const Place place = place_of(the, mention);
    found.push_back({"socket-path", Severity::Warning, Certainty::Certain,
                     where(place, mention.parameter),
                     fmt::format("{} cannot be reached from inside the chroot: mail waits. A path "
                                 "relative to the queue directory can.",
                                 mention.address),
                     set_command(the, place, mention.parameter,
                                 with_relative_path(place.text, mention.address))});
  }
}

void check_reachability(const Case& the, Findings& found) {
  for (const Mention& mention : failing(the)) {
    if (mention.chrooted && is_absolute(mention.address)) continue;
    found.push_back({"policyd-unreachable", Severity::Warning, Certainty::Certain,
                     where(place_of(the, mention), mention.parameter),
                     fmt::format("{} does not answer Postfix ({}): mail waits.", mention.address,
                                 the.facts.socket_failures.at(mention.question())),
                     fmt::format("systemctl restart {}", unit_to_restart(the, mention))});
  }
  for (const auto& [table, why] : the.facts.table_failures)
    found.push_back({"policyd-unreachable", Severity::Warning, Certainty::Certain,
                     fmt::format("main.cf: smtp_tls_policy_maps: {}", table),
                     fmt::format("A lookup fails, so all mail waits: {}", why),
                     why.find("see the log") != why.npos
                         ? "journalctl -u forcetls-policyd"
                         : "systemctl restart forcetls-map.socket"});
}

Questions questions(const PostfixConfig& config, const RuleStore& policy,
                    const std::string& queue_directory,
                    const std::set<std::string>& our_addresses) {
  Questions asked = questions_of_policy(config, policy, queue_directory);
  for (const Mention& mention : mentions_in(config, our_addresses))
    asked.sockets.insert(mention.question());
  return asked;
}

}  // namespace forcetls::doctor
