// A mail host with Sendmail to be examined: a sendmail.cf with forcetls.m4 in it as m4 writes it,
// changed as a test says, a policy, and facts of a healthy host.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "shared/mta/sendmail_doctor.h"
#include "shared/mta/sendmail_ruleset.h"
#include "tests/unit/catch.h"
#include "tests/unit/fakes/rule_store.h"
#include "tests/unit/shared/mta/doctor_bench.h"

namespace forcetls {

/// As m4 makes it of Debian's sendmail.mc with our lines, as far as anybody looks at it.
inline std::string healthy_sendmail_cf() {
  std::string text = R"(V10/Berkeley
Cwlocalhost
DS
DZ8.17.1.9/Debian-2+deb12u2
Karith arith
Kmacro macro
Kaccess hash -T<TMPF> -o /etc/mail/access
Ksendmail socket -q -d5 -T<TMPF> unix:/run/forcetls/map.sock
Kforcetls_arith arith
# {verify} of a TLS session
C{ForcetlsSession}OK TRUSTED FAIL
C{ForcetlsValid}OK TRUSTED
C{ForcetlsVersion}TLSv1.2 TLSv1.3
O DontExpandCnames=True
O ResolverOptions=+WorkAroundBrokenAAAA -DNSRCH -DEFNAMES
O PrivacyOptions=authwarnings,nobodyreturn
O QueueDirectory=/var/spool/mqueue
O Timeout.queuewarn=4h
O InputMailFilters=forcetls
O CACertFile=/etc/ssl/certs/ca-certificates.crt
O CACertPath=/etc/ssl/certs
Qmqueue, P=/var/spool/mqueue, F=f, r=1
Xforcetls, S=unix:/run/forcetls/milter.sock, F=T, T=S:4m;R:4m;E:10m
Stls_rcpt
R$*			$: $1 $| $>"Local_tls_rcpt" $1
R$* $| $#$*		$#$2
R$* $| $*		$: $1
Mlocal,		P=/usr/sbin/sensible-mda, F=lsDFMAw5:/|@qPn9S, S=EnvFromL,
		A=sensible-mda $g $u $h
Mprog,		P=/bin/sh, F=lsDFMoqeu9
Mesmtp,		P=[IPC], F=mDFMuXa, S=EnvFromSMTP/HdrFromSMTP,
		T=DNS/RFC822/SMTP,
		A=TCP $h
Mrelay,		P=[IPC], F=mDFMuXa8
)";
  for (const std::string_view name : {kJudgingRuleset, kLocalRuleset}) {
    text += fmt::format("S{}\n", name);
    for (const SendmailRule& rule : shipped_ruleset().ruleset(name))
      text += fmt::format("R{}\t{}\n", rule.left, rule.right);
  }
  return text;
}

/// submit.cf with our lines.
inline std::string healthy_submit_cf() {
  return "D{MTAHost}[127.0.0.1]\nO DontExpandCnames=True\nO ResolverOptions=-DNSRCH -DEFNAMES\n"
         "O PrivacyOptions=goaway,noetrn,restrictqrun,nobodyreturn\n";
}

class SendmailBench {
 public:
  SendmailBench() {
    facts.version = "8.17.1.9";
    facts.features = {"MILTER", "SOCKETMAP", "STARTTLS"};
    facts.our_addresses = {"unix:/run/forcetls/map.sock", "unix:/run/forcetls/milter.sock"};
    facts.policy.path = "/var/lib/forcetls/policy.db";
    policy.mutable_settings().enforcing_transports = {"smtp", "relay", "forcetls", "esmtp"};
    facts.submit = SendmailConfig::parse(healthy_submit_cf());
  }

  /// One forced row, which policyd answers for.
  SendmailBench& bank() {
    return row({.key = "bank.example", .outbound = Level::Encrypt}, "OK TEMP+ENCR:128");
  }
  SendmailBench& row(FakeRule rule, const std::string& answer) {
    facts.answers[doctor::domain_asked_for(rule.key)] = answer;
    policy.add(std::move(rule));
    return *this;
  }
  SendmailBench& replace(std::string_view old, std::string_view text) {
    const auto at = cf.find(old);
    REQUIRE(at != cf.npos);
    cf.replace(at, old.size(), text);
    return *this;
  }
  SendmailBench& replace_in_submit(std::string_view old, std::string_view text) {
    std::string submit = healthy_submit_cf();
    const auto at = submit.find(old);
    REQUIRE(at != submit.npos);
    facts.submit = SendmailConfig::parse(submit.replace(at, old.size(), text));
    return *this;
  }
  SendmailBench& add(std::string_view lines) {
    cf += std::string(lines) + "\n";
    return *this;
  }

  std::vector<doctor::Finding> findings() const {
    return examine_sendmail(SendmailConfig::parse(cf), policy, facts, at(0));
  }
  std::vector<std::string> told() const {
    std::vector<std::string> lines;
    for (const doctor::Finding& finding : findings()) lines.push_back(in_one_line(finding));
    return lines;
  }

  std::string cf = healthy_sendmail_cf();
  FakeRuleStore policy;
  doctor::SendmailFacts facts;
};

}  // namespace forcetls
