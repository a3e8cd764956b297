// `forcetls setup --mta sendmail`: the lines that sendmail.mc and submit.mc need, and which of them
// are there. Pure. Nobody changes these files by program: m4 text is the administrator's own.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shared/mta/sendmail_config.h"

namespace forcetls {

struct SendmailSetupFacts {
  std::string mc_path = "/etc/mail/sendmail.mc", submit_mc_path = "/etc/mail/submit.mc";
  std::string mc;                        ///< its text
  std::optional<std::string> submit_mc;  ///< nothing: there is no such file
  std::optional<SendmailConfig> cf, submit_cf;
  std::string version;             ///< "8.17.1.9"; empty: the program does not tell
  std::set<std::string> features;  ///< "SOCKETMAP", "DANE"
  std::string snippet_path = "/etc/mail/m4/forcetls.m4";
  bool has_snippet = false;  ///< of this release
  std::string map_address = "unix:/run/forcetls/map.sock";
  std::string milter_address = "unix:/run/forcetls/milter.sock";
};

/// One line that is not in force.
struct SendmailLine {
  std::string file;   ///< empty: it is a command for the shell
  std::string place;  ///< "before MAILER_DEFINITIONS"
  std::string text;
  std::string reason;
  bool is_written = false;  ///< it is in the file, and sendmail.cf was not made from that yet
};

/// Those that are missing, in the order of the files. Empty: all is there.
std::vector<SendmailLine> plan_sendmail_setup(const SendmailSetupFacts& facts);

/// Why this Sendmail cannot be set up; empty: it can.
std::string refusal_of_sendmail(const SendmailSetupFacts& facts);

/// What a person reads. Ends with a newline.
std::string in_words(const std::vector<SendmailLine>& lines, const SendmailSetupFacts& facts);

/// `text` of an .mc file as m4 sees it: without what dnl hides, and without blanks.
std::string without_dnl(std::string_view text);

}  // namespace forcetls
