// A sendmail.cf, read as Sendmail reads it, as far as the doctor and setup look at it. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace forcetls {

/// A K line: "Ksendmail socket -d5 -T<TMPF> unix:/run/forcetls/map.sock".
struct SendmailMap {
  std::string name, type;
  std::vector<std::string> switches;  ///< "-d5", "-T<TMPF>"
  std::string arguments;              ///< what follows them

  bool has_switch(char letter) const;
  /// What stands behind the letter, if the switch is there.
  std::optional<std::string> switch_value(char letter) const;
};

/// An R line. Sequences of blanks are one, so that texts which mean the same compare equal.
struct SendmailRule {
  std::string left, right;
  bool operator==(const SendmailRule&) const = default;
};

/// An M, X or Q line: "Mesmtp, P=[IPC], F=mDFMuXa, A=TCP $h".
struct SendmailEquates {
  std::string name;
  std::map<char, std::string> fields;

  /// Empty if it is not there.
  std::string field(char letter) const;
};

/// The milters of one daemon: its name, and theirs.
struct DaemonMilters {
  std::string daemon;
  std::vector<std::string> milters;
};

class SendmailConfig {
 public:
  /// Takes any text; what it does not know is left out.
  static SendmailConfig parse(std::string_view text);

  /// The last value of an option, which is the one that counts; nothing if it is not set. The lines
  /// of PrivacyOptions and of ResolverOptions add up, and are joined.
  std::optional<std::string> option(std::string_view name) const;
  bool is_on(std::string_view option_name) const;
  /// True if the option lists the word, in any case: PrivacyOptions and its like.
  bool has_word(std::string_view option_name, std::string_view word) const;
  /// True if a name that DNS does not know is looked up below this host's own domain too, which is
  /// Sendmail's default (O ResolverOptions).
  bool uses_search_list() const;
  /// By name; nullptr if there is none. Of two lines the last counts.
  const SendmailMap* map(std::string_view name) const;
  const SendmailEquates* milter(std::string_view name) const;
  /// The rules of a ruleset in their order, those of all its parts.
  std::vector<SendmailRule> ruleset(std::string_view name) const;
  /// The members of a class, as far as C lines list them.
  std::set<std::string> class_members(std::string_view name) const;
  /// The value of a macro: "S" is the smart host.
  std::string macro(std::string_view name) const;
  /// The milters that a daemon without a list of its own uses, in their order (O InputMailFilters).
  std::vector<std::string> input_milters() const;
  /// Those of each daemon that has a list of its own (O DaemonPortOptions, InputMailFilters or I).
  const std::vector<DaemonMilters>& daemon_milters() const { return daemon_milters_; }
  /// All of these once.
  std::vector<std::string> all_input_milters() const;

  const std::vector<SendmailEquates>& mailers() const { return mailers_; }
  const std::vector<SendmailEquates>& queue_groups() const { return queue_groups_; }

 private:
  void take_line(const std::string& line);
  void take_option(std::string_view text);
  void set_option(std::string_view name, std::string_view value);
  void take_class(std::string_view text);
  void take_macro(std::string_view text);
  void take_map(std::string_view text);
  void take_rule(std::string_view text);

  std::map<std::string, std::string, std::less<>> options_, macros_;
  std::map<std::string, SendmailMap, std::less<>> maps_;
  std::map<std::string, SendmailEquates, std::less<>> milters_;
  std::map<std::string, std::vector<SendmailRule>, std::less<>> rulesets_;
  std::map<std::string, std::set<std::string>, std::less<>> classes_;
  std::vector<SendmailEquates> mailers_, queue_groups_;
  std::vector<DaemonMilters> daemon_milters_;
  std::string current_ruleset_;
};

/// "inet:9001@127.0.0.1", "local:/run/x.sock", "/run/x.sock" as our programs write it:
/// "inet:127.0.0.1:9001", "unix:/run/x.sock". Anything else is given back as it is.
std::string our_spelling_of(std::string_view sendmail_address);

/// As Sendmail writes one of our addresses.
std::string sendmail_spelling_of(std::string_view our_address);

}  // namespace forcetls
