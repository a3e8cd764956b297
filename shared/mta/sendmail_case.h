// What the checks of Sendmail's doctor share. Only for sendmail_doctor*.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shared/core/requirement.h"
#include "shared/mta/sendmail_doctor.h"

namespace forcetls::doctor {

/// A row of mode enforce that stands for domains of recipients, with what the map must answer.
struct SendmailRow {
  std::string key;     ///< as written
  std::string domain;  ///< one that it decides for: for .bank.example one below it
  Requirement requirement;
  std::string answer;  ///< "OK TEMP+ENCR:128"
};

struct SendmailCase {
  const SendmailConfig& config;
  const RuleStore& policy;
  const SendmailFacts& facts;
  TimePoint now;
  std::vector<SendmailRow> rows;  ///< the first kMostExaminedRows

  bool has_forced_rows() const;
  /// A row that wants a valid certificate.
  bool wants_certificates() const;
  bool checks_inbound_certificates() const;
};

SendmailCase make_sendmail_case(const SendmailConfig& config, const RuleStore& policy,
                                const SendmailFacts& facts, TimePoint now);

// What an administrator is told to do.
/// Add `line` to sendmail.mc in front of the mailers, make sendmail.cf of it, and restart.
std::string add_line(const SendmailCase& the, std::string_view line);
std::string and_restart(const SendmailCase& the, std::string_view deed);
/// "sendmail.cf: O DontExpandCnames"
std::string in_cf(const SendmailCase& the, std::string_view what);

bool is_network_mailer(const SendmailEquates& mailer);
bool is_loopback_address(std::string_view our_spelling);

using SendmailCheck = void (*)(const SendmailCase&, Findings&);

// The checks, by file.
void check_build(const SendmailCase& the, Findings& found);             // sendmail_doctor_map.cc
void check_map_line(const SendmailCase& the, Findings& found);          // sendmail_doctor_map.cc
void check_ruleset(const SendmailCase& the, Findings& found);           // sendmail_doctor_map.cc
void check_sendmail_sockets(const SendmailCase& the, Findings& found);  // sendmail_doctor_map.cc
void check_answers(const SendmailCase& the, Findings& found);           // sendmail_doctor_map.cc
void check_stale_daemon(const SendmailCase& the, Findings& found);      // sendmail_doctor_map.cc
void check_rows(const SendmailCase& the, Findings& found);              // sendmail_doctor_rows.cc
void check_certificates(const SendmailCase& the, Findings& found);      // sendmail_doctor_rows.cc
void check_next_hops(const SendmailCase& the, Findings& found);         // sendmail_doctor_rows.cc
void check_aliases(const SendmailCase& the, Findings& found);  // sendmail_doctor_delivery.cc
void check_search_list(const SendmailCase& the,
                       Findings& found);                      // sendmail_doctor_delivery.cc
void check_routes(const SendmailCase& the, Findings& found);  // sendmail_doctor_delivery.cc
void check_submission_host(const SendmailCase& the,
                           Findings& found);                        // sendmail_doctor_delivery.cc
void check_mailers(const SendmailCase& the, Findings& found);       // sendmail_doctor_delivery.cc
void check_queue_groups(const SendmailCase& the, Findings& found);  // sendmail_doctor_delivery.cc
void check_sendmail_bounces(const SendmailCase& the,
                            Findings& found);  // sendmail_doctor_delivery.cc
void check_fallback_to_clear(const SendmailCase& the,
                             Findings& found);                          // sendmail_doctor_access.cc
void check_access_map(const SendmailCase& the, Findings& found);        // sendmail_doctor_access.cc
void check_try_tls(const SendmailCase& the, Findings& found);           // sendmail_doctor_access.cc
void check_sts(const SendmailCase& the, Findings& found);               // sendmail_doctor_access.cc
void check_sendmail_milters(const SendmailCase& the, Findings& found);  // sendmail_doctor_milter.cc
void check_client_certificates(const SendmailCase& the,
                               Findings& found);  // sendmail_doctor_milter.cc
void check_enforcing_mailers(const SendmailCase& the,
                             Findings& found);                      // sendmail_doctor_milter.cc
void check_redirections(const SendmailCase& the, Findings& found);  // sendmail_doctor_tables.cc

}  // namespace forcetls::doctor
