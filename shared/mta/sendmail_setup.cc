#include "shared/mta/sendmail_setup.h"

#include <fmt/format.h>

#include <algorithm>

#include "shared/mta/sendmail_doctor.h"
#include "shared/mta/sendmail_ruleset.h"

namespace forcetls {
namespace {

constexpr std::string_view kDefinitions = "MAILER_DEFINITIONS";
constexpr std::string_view kNullClient = "FEATURE(`nullclient'";  // which has the mailers in itself
constexpr std::string_view kBehindMailers = "at the end, behind the MAILER() lines";
constexpr std::string_view kMailer = "MAILER(";
constexpr std::string_view kMsp = "FEATURE(`msp'";
constexpr std::string_view kBeforeMsp = "before the line with FEATURE(`msp'";
constexpr std::string_view kBehindMsp = "behind the line with FEATURE(`msp'";
const SendmailSetupFacts kUsual;

bool is_set(const SendmailConfig& cf, std::string_view option) {
  return !cf.option(option).value_or("").empty();
}

bool has_queue_group(const SendmailConfig& cf) {
  const auto& groups = cf.queue_groups();
  return std::any_of(groups.begin(), groups.end(), [](const SendmailEquates& group) {
    return group.name == "mqueue" && group.field('r') == "1";
  });
}

bool has_milter(const SendmailConfig& cf, const std::string& address) {
  for (const std::string& name : cf.input_milters())
    if (const SendmailEquates* milter = cf.milter(name))
      if (our_spelling_of(milter->field('S')) == address &&
          milter->field('F').find('T') != std::string::npos)
        return true;
  return false;
}

bool has_map(const SendmailConfig& cf, const std::string& address) {
  const SendmailMap* map = cf.map(kSendmailMap);
  return map != nullptr && map->has_switch('q') && our_spelling_of(map->arguments) == address;
}

/// The include at the right place: behind every MAILER() line.
bool includes_ours(const std::string& mc) {
  const auto at = mc.rfind("forcetls.m4')");
  const auto mailer = mc.rfind(kMailer);
  return at != mc.npos && (mailer == mc.npos || mailer < at);
}

/// Collects what is not in force.
class Lines {
 public:
  Lines(std::string file, std::string mc, const std::optional<SendmailConfig>& cf)
      : file_(std::move(file)), mc_(std::move(mc)), cf_(cf) {}

  const std::string& mc() const { return mc_; }
  std::string_view before_mailers() const {
    if (mc_.find(kDefinitions) != mc_.npos) return "before MAILER_DEFINITIONS";
    return mc_.find(kNullClient) != mc_.npos ? "before the line with FEATURE(`nullclient'"
                                             : "before the MAILER() lines";
  }

  template <class InForce>
  void want(std::string_view place, std::string text, std::string_view reason, InForce in_force) {
    const std::string seen_by_m4 = without_dnl(text);
    want_written(place, std::move(text), reason, mc_.find(seen_by_m4) != mc_.npos, in_force);
  }

  template <class InForce>
  void want_written(std::string_view place, std::string text, std::string_view reason, bool written,
                    InForce in_force) {
    if (cf_ ? in_force(*cf_) : written) return;
    missing_.push_back({file_, std::string(place), std::move(text), std::string(reason), written});
  }

  std::vector<SendmailLine> take() { return std::move(missing_); }

 private:
  std::string file_, mc_;
  const std::optional<SendmailConfig>& cf_;
  std::vector<SendmailLine> missing_;
};

void want_delivery(Lines& lines, const SendmailSetupFacts& facts) {
  lines.want(lines.before_mailers(),
             "define(`confCACERT', `/etc/ssl/certs/ca-certificates.crt')dnl",
             "the authorities that certificates are checked against (verify, secure)",
             [](const SendmailConfig& cf) { return is_set(cf, "CACertFile"); });
  lines.want(lines.before_mailers(), "define(`confCACERT_PATH', `/etc/ssl/certs')dnl",
             "without it Sendmail does not use confCACERT, and no certificate is valid",
             [](const SendmailConfig& cf) { return is_set(cf, "CACertPath"); });
  const std::string queue = facts.cf
                                ? facts.cf->option("QueueDirectory").value_or("/var/spool/mqueue")
                                : "/var/spool/mqueue";
  lines.want(lines.before_mailers(),
             fmt::format("QUEUE_GROUP(`mqueue', `P={}, F=f, r=1')dnl", queue),
             "each recipient in an envelope of its own: otherwise one that bounces takes a forced "
             "one that waits with it",
             has_queue_group);
  // What sendmail.mc does not set is authwarnings (sendmail: cf/README, confPRIVACY_FLAGS).
  const std::string flags =
      facts.cf ? facts.cf->option("PrivacyOptions").value_or("") : "authwarnings";
  lines.want_written(
      lines.before_mailers(),
      fmt::format("define(`confPRIVACY_FLAGS', `{}{}nobodyreturn')dnl", flags,
                  flags.empty() ? "" : ","),
      "a bounce carries no text: it may leave in clear",
      lines.mc().find("nobodyreturn") != std::string::npos,
      [](const SendmailConfig& cf) { return cf.has_word("PrivacyOptions", "nobodyreturn"); });
}

void want_admission(Lines& lines, const SendmailSetupFacts& facts) {
  lines.want(lines.before_mailers(),
             fmt::format("INPUT_MAIL_FILTER(`forcetls', `S={}, F=T, T=S:4m;R:4m;E:10m')dnl",
                         sendmail_spelling_of(facts.milter_address)),
             "inbound rules, and early refusals; F=T: while the milter is down mail waits outside",
             [&](const SendmailConfig& cf) { return has_milter(cf, facts.milter_address); });
}

void want_ruleset(Lines& lines, const SendmailSetupFacts& facts) {
  if (facts.map_address != kUsual.map_address)
    lines.want(kBehindMailers,
               fmt::format("define(`_FORCETLS_SOCKET_', `{}')dnl",
                           sendmail_spelling_of(facts.map_address)),
               "where forcetls-policyd listens; before the include",
               [&](const SendmailConfig& cf) { return has_map(cf, facts.map_address); });
  lines.want_written(
      kBehindMailers, fmt::format("include(`{}')dnl", facts.snippet_path),
      "asks forcetls-policyd for each recipient, and keeps DNS aliases and the search "
      "list out of it (DontExpandCnames, ResolverOptions)",
      includes_ours(lines.mc()), [&](const SendmailConfig& cf) {
        return ruleset_state(cf) == RulesetState::Ours && cf.is_on("DontExpandCnames") &&
               !cf.uses_search_list() && has_map(cf, facts.map_address);
      });
}

/// FEATURE(`msp') sets the flags itself, whatever was defined before it.
bool has_flag_behind_msp(const std::string& submit_mc) {
  const auto feature = submit_mc.find(kMsp);
  const auto flag = submit_mc.rfind("nobodyreturn");
  return flag != submit_mc.npos && (feature == submit_mc.npos || feature < flag);
}

void want_submission(Lines& lines, const std::optional<SendmailConfig>& cf) {
  lines.want(kBeforeMsp, "define(`confDONT_EXPAND_CNAMES', `True')dnl",
             "sendmail(1) must not put what a forged DNS alias stands for in place of a "
             "recipient's domain",
             [](const SendmailConfig& submit) { return submit.is_on("DontExpandCnames"); });
  lines.want(kBeforeMsp, "define(`confBIND_OPTS', `WorkAroundBrokenAAAA -DNSRCH -DEFNAMES')dnl",
             "nor a name below this host's own domain",
             [](const SendmailConfig& submit) { return !submit.uses_search_list(); });
  // What FEATURE(`msp') sets (sendmail: feature/msp.m4).
  const std::string flags =
      cf ? cf->option("PrivacyOptions").value_or("") : "goaway,noetrn,restrictqrun";
  lines.want_written(
      kBehindMsp,
      fmt::format("define(`confPRIVACY_FLAGS', `{}{}nobodyreturn')dnl", flags,
                  flags.empty() ? "" : ","),
      "a bounce that sendmail(1) makes carries no text; in front of that line it has no effect",
      has_flag_behind_msp(lines.mc()), [](const SendmailConfig& submit) {
        return submit.has_word("PrivacyOptions", "nobodyreturn");
      });
}

std::string joined_by_and(const std::vector<std::string>& files) {
  std::string text;
  for (const std::string& file : files) text += (text.empty() ? "" : " and ") + file;
  return text;
}

}  // namespace

std::string without_dnl(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find("dnl"));
    for (const char c : line)
      if (c != ' ' && c != '\t' && c != '\r') result += c;
    result += '\n';
  }
  return result.substr(0, result.find_last_not_of('\n') + 1);
}

std::vector<SendmailLine> plan_sendmail_setup(const SendmailSetupFacts& facts) {
  Lines lines(facts.mc_path, without_dnl(facts.mc), facts.cf);
  want_delivery(lines, facts);
  want_admission(lines, facts);
  want_ruleset(lines, facts);
  std::vector<SendmailLine> plan = lines.take();
  if (facts.submit_mc) {
    Lines submit(facts.submit_mc_path, without_dnl(*facts.submit_mc), facts.submit_cf);
    want_submission(submit, facts.submit_cf);
    for (SendmailLine& line : submit.take()) plan.push_back(std::move(line));
  }
  if (!facts.has_snippet)
    plan.insert(plan.begin(),
                {"", "",
                 fmt::format("install -m 0644 /usr/share/forcetls/sendmail/forcetls.m4 {}",
                             facts.snippet_path),
                 "the rules of this release, which sendmail.mc includes"});
  return plan;
}

std::string refusal_of_sendmail(const SendmailSetupFacts& facts) {
  for (const char* feature : {"STARTTLS", "SOCKETMAP", "MILTER"})
    if (!facts.features.empty() && !facts.features.contains(feature))
      return fmt::format("Sendmail {} was built without {}", facts.version, feature);
  if (!facts.version.empty() && !doctor::is_supported_sendmail(facts.version))
    return fmt::format("Sendmail {} is too old: forcetls.m4 was tried with 8.17 and 8.18",
                       facts.version);
  return {};
}

std::string in_words(const std::vector<SendmailLine>& lines, const SendmailSetupFacts& facts) {
  std::string text;
  std::string heading;
  std::vector<std::string> written;
  for (const SendmailLine& line : lines) {
    if (line.is_written) {
      if (std::find(written.begin(), written.end(), line.file) == written.end())
        written.push_back(line.file);
      continue;
    }
    std::string next = line.file.empty() ? "As root:" : line.file + ", " + line.place + ":";
    if (next != heading) text += fmt::format("{}{}\n", text.empty() ? "" : "\n", next);
    heading = std::move(next);
    text += fmt::format("  {}\n      {}\n", line.text, line.reason);
  }
  if (!written.empty())
    text += fmt::format("{}{} has lines that are not in force yet.\n", text.empty() ? "" : "\n",
                        joined_by_and(written));
  if (lines.empty()) return fmt::format("{}: nothing is missing\n", facts.mc_path);
  const std::string directory = facts.mc_path.substr(0, facts.mc_path.rfind('/') + 1);
  return text + fmt::format(
                    "\nThen: make -C {} && systemctl restart sendmail\n"
                    "and look with: forcetls doctor --mta sendmail\n"
                    "Nothing was changed: for Sendmail setup only says what to write.\n",
                    directory.empty() ? "." : directory);
}

}  // namespace forcetls
