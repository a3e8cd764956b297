// What `forcetls doctor --mta sendmail` finds, as doctor.h does for Postfix. Pure: ctl gathers the
// facts that sendmail_questions() asks for, examine_sendmail() judges, ctl prints. Every finding's
// id has a section in forcetls-sendmail(8).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shared/core/rule_store.h"
#include "shared/mta/doctor.h"
#include "shared/mta/sendmail_config.h"

namespace forcetls::doctor {

/// The oldest release whose answers to each of our rules have been seen.
constexpr int kFirstSendmailMajor = 8, kFirstSendmailMinor = 17;

struct SendmailFiles {
  std::string cf = "/etc/mail/sendmail.cf";
  std::string submit_cf = "/etc/mail/submit.cf";
  std::string mc_path{};  ///< empty: beside sendmail.cf

  /// The m4 texts that they are made of.
  std::string mc() const;
  std::string submit_mc() const;
  /// Where forcetls.m4 belongs.
  std::string snippet() const;
};

/// True for 8.17 and later, and for what cannot be read.
bool is_supported_sendmail(std::string_view version);

/// A recipient's domain that the row `key` decides for: for .bank.example one below it; empty if
/// there is none.
std::string domain_asked_for(std::string_view key);

/// What has to be found out on the host before examine_sendmail() can judge.
struct SendmailQuestions {
  std::string map_address;                    ///< our spelling; empty: no map line of ours
  std::set<std::string> sockets;              ///< unix: and inet: addresses; does somebody listen?
  std::vector<std::string> keys;              ///< what does the map answer for these?
  std::set<std::string> files;                ///< are they there, with something in them?
  std::string access_table;                   ///< type and path: what does it hold?
  std::map<std::string, std::string> tables;  ///< the same of those that redirect, by name
};

/// The answers. What could not be found out is absent.
struct SendmailFacts {
  SendmailFiles files;
  std::string version;             ///< "8.17.1.9"; empty: the program does not tell
  std::set<std::string> features;  ///< what it was compiled with: SOCKETMAP, STARTTLS, DANE
  std::optional<SendmailConfig> submit;
  std::set<std::string> our_addresses;  ///< where forcetls.conf lets our daemons listen
  PolicyFile policy;
  std::map<std::string, std::string> socket_failures;     ///< by address, and why
  std::map<std::string, std::string> unsafe_directories;  ///< by address
  std::map<std::string, std::string> closed_sockets;      ///< by address, to whom of RunAsUser
  std::map<std::string, std::string> answers;             ///< by key: "OK NONE"
  std::set<std::string> missing_files;
  std::vector<TableEntry> access;
  std::map<std::string, std::vector<TableEntry>> tables;  ///< by name
  bool is_newer_than_daemon = false;  ///< sendmail.cf was written after the daemon had read it
};

SendmailQuestions sendmail_questions(const SendmailConfig& config, const RuleStore& policy);

/// All findings, the worst first.
std::vector<Finding> examine_sendmail(const SendmailConfig& config, const RuleStore& policy,
                                      const SendmailFacts& facts, TimePoint now);

}  // namespace forcetls::doctor
