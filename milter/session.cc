#include "milter/session.h"

#include <optional>
#include <utility>

#include "milter/as_if_enforced.h"
#include "milter/mta.h"
#include "milter/tls_required_header.h"
#include "shared/core/ascii.h"
#include "shared/core/requirement.h"

namespace forcetls {
namespace {

/// Something that this host's administrator has to put right, not the client.
bool is_hosts_own_fault(Reason reason) {
  return reason == Reason::RouteTransport || reason == Reason::RouteNextHop ||
         reason == Reason::PolicyUnavailable;
}

bool is_refusal(const Verdict& verdict) { return verdict.action != Action::NoOpinion; }

/// What follows the last '@', brackets left out.
std::string_view after_at(std::string_view address) {
  if (address.ends_with('>')) address.remove_suffix(1);
  const auto at = address.rfind('@');
  return at == address.npos ? std::string_view{} : address.substr(at + 1);
}

/// False for an address from which the MTA takes another domain than what follows the last '@':
/// <u@bank.example (a comment)>, <u@bank.example>more.
bool has_plain_domain(std::string_view address) {
  return after_at(address).find_first_of(" \t()<>\"\\,;") == std::string_view::npos;
}

/// Letters that Postfix's macros have folded, as Unicode folds case, into others that to IDNA, and
/// so to the delivery, may make another domain.
constexpr std::pair<std::string_view, std::string_view> kFolded[] = {
    {"\u00df", "ss"}, {"\u1e9e", "ss"}, {"\u03c2", "\u03c3"}};

std::string folded(std::string_view text) {
  std::string result(text);
  for (const auto& [letter, plain] : kFolded)
    for (auto at = result.find(letter); at != result.npos; at = result.find(letter, at))
      result.replace(at, letter.size(), plain);
  return result;
}

/// The domain that was typed, if folding is all that tells it from `rewritten`.
std::optional<NextHopKey> before_folding(const NextHopKey& rewritten, std::string_view typed) {
  const std::string typed_folded = folded(typed);
  if (typed_folded == typed || !has_plain_domain(typed)) return std::nullopt;
  const auto as_folded = domain_of_address(typed_folded);
  auto as_typed = domain_of_address(typed);
  if (!as_folded || !as_typed || as_folded->text != rewritten.text) return std::nullopt;
  return *std::move(as_typed);
}

/// The domain of an address: as the MTA rewrote it (`rewritten`) if it told us, since only the MTA
/// knows what it takes percent hacks, source routes and comments for; else as it was typed.
Result<NextHopKey> domain_of(std::string_view rewritten, std::string_view typed) {
  auto domain = domain_of_address(rewritten);
  if (!domain) return domain;
  if (!domain->text.empty()) {
    if (auto unfolded = before_folding(*domain, typed)) return *std::move(unfolded);
    return domain;
  }
  if (!has_plain_domain(typed))
    return fail(ErrorCode::Unconvertible, "the address has more than a domain behind its '@'");
  return domain_of_address(typed);
}

/// What log lines and replies may say of an address. One that cannot be converted is the client's
/// own text: it must not look like more than one word.
std::string shown(const Result<NextHopKey>& domain, std::string_view address) {
  if (domain && domain->text.empty()) return address.size() <= 2 ? "<>" : "-";
  if (domain) return domain->text;
  std::string word(after_at(address));
  for (char& c : word)
    if (c == ' ' || c == '=' || c == '"') c = '?';
  return word;
}

}  // namespace

/// One RCPT. Views borrow from the step's macros.
struct Session::Recipient {
  Result<NextHopKey> domain;
  std::string shown;  ///< for texts and log lines
  Route route;
  bool forced;
};

Session::Session(Surroundings& surroundings, std::string client_address)
    : surroundings_(surroundings), client_address_(std::move(client_address)) {}

void Session::learn(const Macros& macros) {
  if (message_.queue_id.empty()) message_.queue_id = macros.find("i");
  if (message_.client.empty())
    message_.client =
        client_address_.empty() ? macros.find("{client_addr}") : std::string_view(client_address_);
  // Once per message is enough: STARTTLS ends a message, and there is no way back to clear.
  if (!message_.tls.version.empty()) return;
  message_.tls = {.version = std::string(macros.find("{tls_version}")),
                  .cipher_bits = number_in(macros.find("{cipher_bits}")),
                  .certificate_name = std::string(verified_certificate_name(macros))};
}

SessionFacts Session::facts() const {
  return {.client_address = message_.client,
          .tls_version = message_.tls.version,
          .cipher_bits = message_.tls.cipher_bits,
          .certificate_name = message_.tls.certificate_name,
          .digests_known = false};
}

Verdict Session::mail(std::string_view sender, const Macros& macros) {
  abort();
  learn(macros);
  message_.local = is_local_submission(macros, message_.client, sender);
  sender_ = domain_of(macros.find("{mail_addr}"), sender);
  message_.sender_domain = shown(sender_, sender);
  sender_judged_ = message_.local;
  sender_verdict_ = {};
  const auto policy = surroundings_.current_policy();
  Verdict verdict = policy ? judge_mail(*policy, surroundings_.clock.now()) : Verdict{};
  message_.open = !is_refusal(verdict);
  if (is_refusal(verdict)) log_refusal(Refused::Sender, {}, verdict);
  return verdict;
}

/// Once per message: at MAIL, or at RCPT if there was no policy yet.
Verdict Session::judge_mail(const RuleStore& policy, TimePoint now) {
  if (sender_judged_) return sender_verdict_;
  sender_judged_ = true;
  if (!sender_) {
    if (!policy.enforces_nothing()) sender_verdict_ = name_unknown(message_.sender_domain);
    return sender_verdict_;
  }
  const Finding finding = find_policy(policy, *sender_, now);
  if (finding.tested) note_would(judge_sender(AsIfEnforced(policy), *sender_, facts(), now));
  if (!finding.rule) return {};
  sender_verdict_ = judge_sender(policy, *sender_, facts(), now);
  note(sender_verdict_);
  return sender_verdict_;
}

Verdict Session::recipient(std::string_view recipient, const Macros& macros) {
  learn(macros);
  const auto policy = surroundings_.current_policy();
  const TimePoint now = surroundings_.clock.now();
  const Recipient judged = read_recipient(policy.get(), recipient, macros, now);
  ++message_.recipients;
  if (judged.forced) ++message_.forced;
  Verdict verdict = message_.local ? Verdict{} : judge(policy.get(), judged, now);
  if (!is_refusal(verdict)) {
    prepare_header_verdict(policy.get(), judged, macros, now);
    return verdict;
  }
  ++(verdict.action == Action::Reject ? message_.rejected : message_.deferred);
  log_refusal(Refused::Recipient, judged.shown, verdict);
  return verdict;
}

Session::Recipient Session::read_recipient(const RuleStore* policy, std::string_view typed,
                                           const Macros& macros, TimePoint now) {
  const std::string_view rewritten = macros.find("{rcpt_addr}");
  auto domain = domain_of(rewritten, typed);
  const bool forced = policy != nullptr && domain && is_forced_recipient(*policy, *domain, now);
  std::string text = shown(domain, rewritten.empty() ? typed : rewritten);
  return {std::move(domain),
          std::move(text),
          {macros.find("{rcpt_mailer}"), asked_next_hop(macros)},
          forced};
}

Verdict Session::judge(const RuleStore* policy, const Recipient& recipient, TimePoint now) {
  if (policy == nullptr) return policy_unavailable();
  Verdict verdict = judge_mail(*policy, now);
  if (is_refusal(verdict)) return verdict;
  if (!recipient.domain)
    return policy->enforces_nothing() ? Verdict{} : name_unknown(recipient.shown);
  const Finding finding = find_policy(*policy, *recipient.domain, now);
  if (finding.tested) note_would(judge_domain(AsIfEnforced(*policy), recipient, now));
  if (!finding.rule) return {};
  verdict = judge_domain(*policy, recipient, now);
  note(verdict);
  return verdict;
}

Verdict Session::judge_domain(const RuleStore& policy, const Recipient& recipient, TimePoint now) {
  const NextHopKey& domain = *recipient.domain;
  Verdict submission = judge_submission(policy, domain, facts(), now);
  if (is_refusal(submission)) return submission;
  if (recipient.route.transport.empty()) tell_missing_route();
  Verdict route = judge_route(policy, domain, recipient.route, now);
  return is_refusal(route) ? route : submission;
}

/// For accepted recipients. The first forced one settles what the header would mean, so none of
/// them has to be remembered.
void Session::prepare_header_verdict(const RuleStore* policy, const Recipient& recipient,
                                     const Macros& macros, TimePoint now) {
  const bool mta_obeys = obeys_tls_required_no(macros.find("v"));
  Verdict verdict;
  if (policy == nullptr) {
    if (mta_obeys) verdict = policy_unavailable();
  } else if (!recipient.domain) {
    if (mta_obeys && !policy->enforces_nothing()) verdict = name_unknown(recipient.shown);
  } else if (recipient.forced) {
    verdict = judge_tls_required_no(*policy, *recipient.domain, mta_obeys, now);
  }
  if (!is_refusal(verdict) || message_.if_tls_required_no) return;
  // A local message that is deferred stays in maildrop, and nobody is told: reject it if it would
  // leave in clear, and let it pass if it would not.
  if (message_.local && verdict.action == Action::Defer) {
    if (!mta_obeys) return;
    verdict.action = Action::Reject;
  }
  message_.if_tls_required_no = std::move(verdict);
}

void Session::header(std::string_view name, std::string_view value) noexcept {
  if (is_tls_required_no(name, value)) message_.has_tls_required_no = true;
}

Verdict Session::end_of_message(const Macros& macros) {
  learn(macros);
  Verdict verdict;
  if (message_.has_tls_required_no && message_.if_tls_required_no)
    verdict = *message_.if_tls_required_no;
  surroundings_.log.info("{}", message_line(message_, verdict));
  message_ = {};
  return verdict;
}

void Session::abort() {
  const bool refused = message_.deferred + message_.rejected > 0;
  if (message_.open && refused) surroundings_.log.info("{}", aborted_line(message_));
  message_ = {};
}

void Session::note(const Verdict& verdict) {
  const bool better =
      is_refusal(verdict) ? !is_refusal(message_.noted) : message_.noted.reason == Reason::NoRule;
  if (better) message_.noted = verdict;
}

void Session::note_would(const Verdict& verdict) {
  if (is_refusal(verdict) && !message_.would) message_.would = verdict;
}

void Session::tell_missing_route() {
  if (surroundings_.told_missing_route.exchange(true)) return;
  surroundings_.log.warning(
      "the MTA does not say by which transport mail will leave, so routes past the TLS policy are "
      "not noticed at RCPT: add {{rcpt_mailer}} and {{rcpt_host}} to milter_rcpt_macros");
}

void Session::log_refusal(Refused what, std::string_view domain, const Verdict& verdict) {
  note(verdict);
  const std::string line = refusal_line(message_, what, domain, verdict);
  if (is_hosts_own_fault(verdict.reason)) {
    surroundings_.log.warning("{}", line);
  } else {
    surroundings_.log.info("{}", line);
  }
}

}  // namespace forcetls
