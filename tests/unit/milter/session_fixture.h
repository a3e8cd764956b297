// An SMTP session as a test writes it down: what the MTA says, what becomes of it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "milter/session.h"
#include "tests/unit/catch.h"
#include "tests/unit/fakes/clock.h"
#include "tests/unit/fakes/log_sink.h"
#include "tests/unit/fakes/rule_store.h"

namespace forcetls {

/// A table of macros.
class FakeMacros final : public Macros {
 public:
  using Table = std::map<std::string, std::string, std::less<>>;
  FakeMacros(Table table = {}) : table_(std::move(table)) {}

  /// These, and `more` over them.
  FakeMacros with(const Table& more) const {
    Table table = more;
    table.insert(table_.begin(), table_.end());
    return table;
  }
  std::string_view find(const char* name) const override {
    const auto found = table_.find(name);
    return found == table_.end() ? std::string_view{} : found->second;
  }

 private:
  Table table_;
};

/// What smtpd(8) sends with every step, in clear and over TLS.
inline const FakeMacros kClear({{"v", "Postfix 3.7.11"}, {"{client_resolve}", "FAIL"}});
inline const FakeMacros kTls =
    kClear.with({{"{tls_version}", "TLSv1.3"}, {"{cipher_bits}", "256"}});
/// Postfix 3.10 obeys TLS-Required: no.
inline const FakeMacros kTls310 = kTls.with({{"v", "Postfix 3.10.13"}});
/// cleanup(8), for mail from sendmail(1).
inline const FakeMacros kLocal({{"v", "Postfix 3.7.11"}, {"i", "4local"}});
inline const FakeMacros kLocal310 = kLocal.with({{"v", "Postfix 3.10.13"}});

/// {rcpt_addr}, {rcpt_mailer} and {rcpt_host} of a recipient that leaves by its own domain's MX.
inline FakeMacros to(const FakeMacros& session, const std::string& domain) {
  return session.with(
      {{"{rcpt_addr}", "u@" + domain}, {"{rcpt_mailer}", "smtp"}, {"{rcpt_host}", domain}});
}

/// One filter, one session. Client 192.0.2.1, not trusted; 10.0.0.0/8 and loopback are.
struct Trial {
  explicit Trial(FakeRuleStore rules, std::string client = "192.0.2.1")
      : policy(std::make_shared<FakeRuleStore>(std::move(rules))),
        session(surroundings, std::move(client)) {
    policy->mutable_settings().set("trusted_clients", "127.0.0.0/8 ::1 10.0.0.0/8");
    policy->mutable_settings().set("enforcing_transports", "smtp relay forcetls esmtp");
  }

  std::string mail(const std::string& sender, const FakeMacros& macros) {
    return smtp_reply(session.mail(sender, macros));
  }
  std::string rcpt(const std::string& recipient, const FakeMacros& macros) {
    return smtp_reply(session.recipient(recipient, macros));
  }
  std::string eom(const FakeMacros& macros) { return smtp_reply(session.end_of_message(macros)); }
  std::string last_line() const {
    const auto lines = sink.lines();
    return lines.empty() ? std::string{} : lines.back().text;
  }

  std::shared_ptr<FakeRuleStore> policy;
  std::shared_ptr<const RuleStore> in_force;  ///< set it to change the policy
  bool readable = true;                       ///< false: no policy since the start
  FakeClock clock{at(0)};
  FakeLogSink sink;
  Surroundings surroundings{[this]() -> std::shared_ptr<const RuleStore> {
                              if (!readable) return nullptr;
                              return in_force ? in_force : policy;
                            },
                            clock, Log(sink, LogLevel::Debug)};
  Session session;
};

}  // namespace forcetls
