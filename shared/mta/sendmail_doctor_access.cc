// What else in Sendmail decides about TLS: the access database, MTA-STS, fallbacks.
#include <fmt/format.h>

#include "shared/core/ascii.h"
#include "shared/mta/parameter_text.h"
#include "shared/mta/sendmail_case.h"

namespace forcetls::doctor {
namespace {

constexpr std::string_view kTryTls = "Try_TLS:";

/// What follows the tag of an access entry, if the entry has it.
std::optional<std::string_view> behind_tag(std::string_view key, std::string_view tag) {
  if (key.size() < tag.size() || !equal_ignoring_case(key.substr(0, tag.size()), tag))
    return std::nullopt;
  return key.substr(tag.size());
}

/// A row whose domain, or mail servers below it, an entry for `host` may name.
const SendmailRow* row_below(const SendmailCase& the, std::string_view host) {
  for (const SendmailRow& row : the.rows) {
    if (!is_forced(row.requirement.level)) continue;
    const std::string below = "." + row.domain;
    if (host.empty() || equal_ignoring_case(host, row.domain) || host.ends_with(below) ||
        row.domain.ends_with("." + std::string(host)))
      return &row;
  }
  return nullptr;
}

}  // namespace

void check_fallback_to_clear(const SendmailCase& the, Findings& found) {
  if (!the.config.is_on("TLSFallbacktoClear")) return;
  found.push_back(
      {"falls-back-to-clear", Severity::Note, Certainty::Certain,
       in_cf(the, "O TLSFallbacktoClear"),
       "After a broken handshake Sendmail tries again in clear. The rules of "
       "forcetls.m4 hold forced mail even so; mail to everybody else goes out in clear, "
       "and whoever can break a handshake can bring that about.",
       and_restart(the,
                   fmt::format("take confTLS_FALLBACK_TO_CLEAR out of {}", the.facts.files.mc()))});
}

void check_access_map(const SendmailCase& the, Findings& found) {
  const SendmailMap* access = the.config.map("access");
  if (access == nullptr || access->type != "socket") return;
  if (access->switch_value('T') == "<TMPF>" && !access->has_switch('o')) return;
  found.push_back({"access-map", Severity::Warning, Certainty::Certain, in_cf(the, "K line access"),
                   "While the server of your access database is down, each of its entries counts "
                   "as not there: TLS_Rcpt, TLS_Srv and TLS_Clt of yours demand nothing then. "
                   "Rows of forcetls hold.",
                   and_restart(the, fmt::format("write in {}: FEATURE(`access_db', `socket -d5 "
                                                "-T<TMPF> {}')dnl",
                                                the.facts.files.mc(), access->arguments))});
}

void check_try_tls(const SendmailCase& the, Findings& found) {
  for (const TableEntry& entry : the.facts.access) {
    const auto host = behind_tag(entry.key, kTryTls);
    if (!host || !equal_ignoring_case(entry.value.substr(0, 2), "NO")) continue;
    const SendmailRow* row = row_below(the, *host);
    const std::string what = row == nullptr ? "a forced domain whose server this is"
                                            : fmt::format("{}, which is forced", row->domain);
    found.push_back(
        {"try-tls-no", Severity::Warning, row == nullptr ? Certainty::Possible : Certainty::Likely,
         fmt::format("access: {}", entry.key),
         fmt::format("Sendmail does not use TLS with this host. Mail to {} bounces "
                     "instead of waiting.",
                     what),
         fmt::format("take '{}' out of the access database; then make -C /etc/mail", entry.key)});
  }
}

void check_sts(const SendmailCase& the, Findings& found) {
  const SendmailMap* sts = the.config.map("sts");
  if (sts == nullptr) return;
  found.push_back({"sts-feature", Severity::Note, Certainty::Certain, in_cf(the, "K line sts"),
                   "FEATURE(sts) is no substitute for rows: it ignores encrypt, and of several "
                   "recipients it looks at one only. Rows of forcetls hold beside it, and mail has "
                   "to meet both.",
                   "forcetls check DOMAIN"});
}

}  // namespace forcetls::doctor
