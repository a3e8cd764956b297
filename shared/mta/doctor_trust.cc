// Can the levels that look at certificates work here, and do rows keep to what main.cf demands?
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "shared/core/ascii.h"
#include "shared/mta/doctor_case.h"

namespace forcetls::doctor {
namespace {

struct Rows {
  bool verify_by_store = false;  ///< verify or secure without a trust anchor of its own
  bool dane = false;
  std::set<std::string> tafiles, digests;
};

Rows rows_of(const Case& the) {
  Rows rows;
  the.policy.for_each_rule([&rows](const Rule& rule) {
    if (rule.mode != Mode::Enforce) return;
    const Requirement& wanted = rule.outbound;
    const bool by_name = wanted.level == Level::Verify || wanted.level == Level::Secure;
    if (by_name && wanted.tafile.empty()) rows.verify_by_store = true;
    if (by_name && !wanted.tafile.empty()) rows.tafiles.emplace(wanted.tafile);
    if (wanted.level == Level::Dane || wanted.level == Level::DaneOnly) rows.dane = true;
    if (wanted.level == Level::Fingerprint)
      rows.digests.emplace(wanted.match.substr(0, wanted.match.find('|')));
  });
  return rows;
}

/// Bytes of a digest; 0: an algorithm that we do not know.
std::size_t digest_bytes(std::string_view algorithm) {
  constexpr std::array<std::pair<std::string_view, std::size_t>, 5> kSizes{
      {{"md5", 16}, {"sha1", 20}, {"sha256", 32}, {"sha384", 48}, {"sha512", 64}}};
  for (const auto& [name, bytes] : kSizes)
    if (equal_ignoring_case(name, algorithm)) return bytes;
  return 0;
}

void check_store(const Case& the, const Place& place, bool needed, Findings& found) {
  const std::string path = value_at(the, place, "smtp_tls_CApath");
  const bool missing =
      place.value.empty() && path.empty() && !is_yes(value_at(the, place, "tls_append_default_CA"));
  const std::string bad = the.facts.missing_files.contains(place.value) ? place.value : "";
  if (!missing && bad.empty()) return;
  found.push_back({"ca-store", needed ? Severity::Warning : Severity::Note, Certainty::Certain,
                   where(place, "smtp_tls_CAfile"),
                   bad.empty() ? "Postfix has no store of certificate authorities: mail to rows of "
                                 "level verify or secure waits."
                               : fmt::format("{} is missing or empty: mail to rows of level verify "
                                             "or secure waits.",
                                             bad),
                   set_command(the, place, "smtp_tls_CAfile", kCaBundle)});
}

/// True if a list of OpenSSL's adds ciphers to those of grade high and takes none away.
bool is_wider_than_high(std::string_view cipher_list) {
  return cipher_list.find('!') == cipher_list.npos && cipher_list.find("HIGH") != cipher_list.npos;
}

/// The parameter whose ciphers a client used for forced connections before rows asked for a grade.
std::string cipher_list_parameter(const Case& the, const PostfixService& service) {
  return fmt::format("tls_{}_cipherlist", the.config.value(service, "smtp_tls_mandatory_ciphers"));
}

/// True if somebody has narrowed that list, and grade high has another one.
bool is_narrowed(const Case& the, const PostfixService& service, const std::string& parameter) {
  if (!the.config.is_set(parameter) && !service.options.contains(parameter)) return false;
  const std::string list = the.config.value(service, parameter);
  return list != the.config.value(service, "tls_high_cipherlist") && !is_wider_than_high(list);
}

bool some_row_asks_for_high(const Case& the) {
  return std::any_of(the.needs.begin(), the.needs.end(),
                     [](const Requirement& need) { return need.ciphers == CipherGrade::High; });
}

}  // namespace

void check_cipher_lists(const Case& the, Findings& found) {
  if (!some_row_asks_for_high(the)) return;
  constexpr std::string_view kHigh = "tls_high_cipherlist";
  std::set<std::string> seen;
  for (const PostfixService* service : the.config.services_of("smtp")) {
    const std::string parameter = cipher_list_parameter(the, *service);
    if (!is_narrowed(the, *service, parameter)) continue;
    const auto& options = service->options;
    const bool relies_on_main_cf = !options.contains("smtp_tls_mandatory_ciphers") &&
                                   !options.contains(parameter) && !options.contains(kHigh);
    const Place place{relies_on_main_cf ? nullptr : service};
    if (!seen.insert(where(place, parameter)).second) continue;
    const std::string list = the.config.value(*service, parameter);
    found.push_back({"floor-not-recorded", Severity::Warning, Certainty::Possible,
                     where(place, parameter),
                     fmt::format("Forced connections used the ciphers {}; rows ask for grade high, "
                                 "whose own list may have others.",
                                 list),
                     set_command(the, place, kHigh, list)});
  }
}

void check_trust(const Case& the, Findings& found) {
  const Rows rows = rows_of(the);
  for (const Place& place : places(the, {"smtp"}, "smtp_tls_CAfile"))
    check_store(the, place, rows.verify_by_store, found);
  const auto services = the.config.services_of("smtp");
  const bool chrooted = std::any_of(services.begin(), services.end(),
                                    [](const PostfixService* one) { return one->chrooted; });
  const std::string queue = the.config.value("queue_directory");
  for (const std::string& file : rows.tafiles) {
    const std::string inside = chrooted ? queue + file : file;
    if (!the.facts.missing_files.contains(inside)) continue;
    found.push_back(
        {"tafile-chroot", Severity::Warning, Certainty::Certain,
         fmt::format("policy.db: tafile = '{}'", file),
         fmt::format("Postfix opens {}, which is not there: mail to the row waits.", inside),
         chrooted ? fmt::format("install -D -m 0644 {} {}", shell_word(file), shell_word(inside))
                  : fmt::format("install -D -m 0644 YOUR.pem {}", shell_word(file))});
  }
}

void check_dane(const Case& the, Findings& found) {
  constexpr std::string_view kName = "smtp_dns_support_level";
  if (!rows_of(the).dane) return;
  for (const Place& place : places(the, {"smtp"}, kName))
    if (!equal_ignoring_case(place.value, "dnssec"))
      found.push_back({"dane-dnssec", Severity::Warning, Certainty::Certain, where(place, kName),
                       "Postfix does not look for signed records: mail to rows of level dane-only "
                       "waits, and dane is no more than may.",
                       set_command(the, place, kName, "dnssec")});
}

void check_fingerprints(const Case& the, Findings& found) {
  constexpr std::string_view kName = "smtp_tls_fingerprint_digest";
  const Rows rows = rows_of(the);
  for (const Place& place : places(the, {"smtp"}, kName)) {
    const std::size_t bytes = digest_bytes(place.value);
    const bool fits =
        std::all_of(rows.digests.begin(), rows.digests.end(), [bytes](const std::string& digest) {
          return bytes == 0 || digest.size() == bytes * 3 - 1;
        });
    if (equal_ignoring_case(place.value, "sha256") ? fits : fits && !rows.digests.empty()) continue;
    found.push_back({"fingerprint-digest", fits ? Severity::Note : Severity::Warning,
                     Certainty::Certain, where(place, kName),
                     fits ? fmt::format("Digests in rows of level fingerprint would be compared by "
                                        "{}.",
                                        place.value)
                          : fmt::format("Digests of the servers are made by {}, those of the rows "
                                        "are of another length: mail to them waits.",
                                        place.value),
                     set_command(the, place, kName, "sha256")});
  }
}

void check_floors(const Case& the, Findings& found) {
  if (the.facts.settings.empty()) return;
  const Plan plan = plan_setup(the.config, {.settings = the.facts.settings});
  for (const SettingChange& change : plan.settings) {
    if (!change.name.starts_with("floor_")) continue;
    found.push_back(
        {"floor-not-recorded", Severity::Warning, Certainty::Certain,
         fmt::format("policy.db: setting {}", change.name),
         fmt::format("main.cf demands {} of forced connections; a row's answer replaces "
                     "that, and would take a weaker one.",
                     change.value),
         setting_command(the, change.name, change.value)});
  }
}

}  // namespace forcetls::doctor
