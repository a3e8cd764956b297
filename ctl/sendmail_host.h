// Sendmail on this host: its files, its program, and what the doctor's checks ask for.
#pragma once

#include <set>
#include <string>

#include "ctl/command.h"
#include "shared/base/config.h"
#include "shared/mta/sendmail_config.h"
#include "shared/mta/sendmail_doctor.h"

namespace forcetls {

/// What "sendmail -d0.13 -bt" tells; empty where it is another MTA's program, or there is none.
struct SendmailProgram {
  std::string version;             ///< "8.17.1.9"
  std::set<std::string> features;  ///< "SOCKETMAP", "MILTER", "DANE"
};
SendmailProgram ask_sendmail(const std::string& program, const std::string& cf);
/// The same in what the program printed. Pure.
SendmailProgram program_in(std::string_view printed);

/// Lines of "key<blanks>value" of an access database's source, or of what makemap -u prints. Pure.
std::vector<TableEntry> access_entries_in(std::string_view text);

/// Answers what it can; what fails is left out, for the checks to say so.
void gather_sendmail(const SendmailConfig& config, const doctor::SendmailQuestions& questions,
                     doctor::SendmailFacts& facts);

doctor::SendmailFiles sendmail_files(const SendmailOptions& options);

/// The MTA that a command is for: the one that the options name or mean, else Postfix if it is
/// configured here, else Sendmail if that is.
enum class Mta { Postfix, Sendmail };
Mta mta_of(const SendmailOptions& options, const std::string& config_dir);

}  // namespace forcetls
