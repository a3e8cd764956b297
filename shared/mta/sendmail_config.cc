#include "shared/mta/sendmail_config.h"

#include <algorithm>

#include "shared/core/ascii.h"
#include "shared/mta/parameter_text.h"
#include "shared/mta/sendmail_option_names.h"

namespace forcetls {
namespace {

/// Takes the first word off the front of `text`, and the blanks behind it.
std::string_view take_word(std::string_view& text) {
  const auto end = std::min(text.find_first_of(kBlanks), text.size());
  const std::string_view word = text.substr(0, end);
  const auto next = std::min(text.find_first_not_of(kBlanks, end), text.size());
  text.remove_prefix(next);
  return word;
}

/// Takes a macro's or class's name off the front: one letter, or {Name}.
std::string_view take_name(std::string_view& text) {
  std::size_t size = std::min<std::size_t>(1, text.size());
  std::string_view name = text.substr(0, size);
  if (const auto end = text.find('}'); text.starts_with('{') && end != text.npos) {
    name = text.substr(1, end - 1);
    size = end + 1;
  }
  text.remove_prefix(size);
  return name;
}

std::string single_blanks(std::string_view text) {
  std::string result;
  for (const char c : without_blanks(text)) {
    const bool blank = kBlanks.find(c) != kBlanks.npos;
    if (blank && result.ends_with(' ')) continue;
    result += blank ? ' ' : c;
  }
  return result;
}

/// Sendmail joins a line that begins with a blank to the one before it, and skips comments.
std::vector<std::string> logical_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    const bool continues = line.starts_with(' ') || line.starts_with('\t');
    if (continues && !lines.empty())
      lines.back().append("\n").append(line);
    else
      lines.emplace_back(line);
  }
  return lines;
}

SendmailEquates equates_in(std::string_view text) {
  SendmailEquates result;
  bool first = true;
  while (!text.empty() || first) {
    const auto end = std::min(text.find(','), text.size());
    const std::string_view part = without_blanks(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto equals = part.find('=');
    if (first)
      result.name = part;
    else if (!part.empty() && equals != part.npos)
      result.fields[part.front()] = without_blanks(part.substr(equals + 1));
    first = false;
  }
  return result;
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), ascii_lower);
  return result;
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

std::string inet_address(std::string_view scheme, std::string_view port, std::string_view host) {
  return std::string(scheme).append(port).append("@").append(host);
}

/// Lines of these options add to each other (sendmail: readcf.c).
bool adds_up(std::string_view option) {
  return option == "privacyoptions" || option == "resolveroptions";
}

std::vector<std::string> milters_in(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    const auto end = std::min(list.find_first_of(",;"), list.size());
    const std::string_view name = without_blanks(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    if (!name.empty()) names.emplace_back(name);
  }
  return names;
}

template <class Values>
auto found_in(const Values& values, std::string_view name) -> decltype(&values.begin()->second) {
  const auto at = values.find(name);
  return at == values.end() ? nullptr : &at->second;
}

}  // namespace

bool SendmailMap::has_switch(char letter) const { return switch_value(letter).has_value(); }

std::optional<std::string> SendmailMap::switch_value(char letter) const {
  for (const std::string& word : switches)
    if (word[1] == letter) return word.substr(2);
  return std::nullopt;
}

std::string SendmailEquates::field(char letter) const {
  const auto at = fields.find(letter);
  return at == fields.end() ? std::string() : at->second;
}

SendmailConfig SendmailConfig::parse(std::string_view text) {
  SendmailConfig config;
  for (const std::string& line : logical_lines(text)) config.take_line(line);
  return config;
}

void SendmailConfig::take_line(const std::string& line) {
  const std::string_view rest = std::string_view(line).substr(1);
  switch (line.front()) {
    case 'O':
      return take_option(rest);
    case 'C':
      return take_class(rest);
    case 'D':
      return take_macro(rest);
    case 'K':
      return take_map(rest);
    case 'R':
      return take_rule(rest);
    case 'S':
      current_ruleset_ = without_blanks(rest.substr(0, rest.find('=')));
      return;
    case 'M':
      mailers_.push_back(equates_in(rest));
      return;
    case 'Q':
      queue_groups_.push_back(equates_in(rest));
      return;
    case 'X': {
      SendmailEquates milter = equates_in(rest);
      milters_.insert_or_assign(milter.name, milter);
      return;
    }
    default:
      return;
  }
}

void SendmailConfig::take_option(std::string_view text) {
  // "O Name=value", or as in old files "Ovalue" behind one letter.
  if (!text.starts_with(' '))
    return set_option(sendmail_option_of_letter(text),
                      text.substr(std::min<std::size_t>(1, text.size())));
  const auto equals = std::min(text.find('='), text.size());
  set_option(sendmail_option_meant_by(lower_case(without_blanks(text.substr(0, equals)))),
             text.substr(std::min(equals + 1, text.size())));
}

void SendmailConfig::set_option(std::string_view option_name, std::string_view text) {
  const std::string name(option_name);
  if (name.empty()) return;
  const std::string value(without_blanks(text));
  if (name == "daemonportoptions") {
    const SendmailEquates daemon = equates_in("," + value);
    if (daemon.fields.contains('I'))
      daemon_milters_.push_back({daemon.field('N'), milters_in(daemon.field('I'))});
  }
  std::string& kept = options_[name];
  if (adds_up(name) && !kept.empty())
    kept += (name == "privacyoptions" ? "," : " ") + value;
  else
    kept = value;
}

void SendmailConfig::take_class(std::string_view text) {
  std::set<std::string>& members = classes_[std::string(take_name(text))];
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  while (!text.empty()) members.emplace(take_word(text));
}

void SendmailConfig::take_macro(std::string_view text) {
  const std::string name(take_name(text));
  macros_.insert_or_assign(name, std::string(without_blanks(text)));
}

void SendmailConfig::take_map(std::string_view text) {
  text = without_blanks(text);
  SendmailMap map;
  map.name = take_word(text);
  map.type = take_word(text);
  while (text.starts_with('-') && text.size() > 1) map.switches.emplace_back(take_word(text));
  std::erase_if(map.switches, [](const std::string& word) { return word.size() < 2; });
  map.arguments = without_blanks(text);
  maps_.insert_or_assign(map.name, map);
}

void SendmailConfig::take_rule(std::string_view text) {
  // TAB characters separate the sides, and a third one would be a comment.
  const auto tab = std::min(text.find('\t'), text.size());
  std::string_view right = text.substr(tab);
  right.remove_prefix(std::min(right.find_first_not_of('\t'), right.size()));
  right = right.substr(0, right.find('\t'));
  rulesets_[current_ruleset_].push_back({single_blanks(text.substr(0, tab)), single_blanks(right)});
}

std::optional<std::string> SendmailConfig::option(std::string_view name) const {
  const auto* value = found_in(options_, lower_case(name));
  return value == nullptr ? std::nullopt : std::optional(*value);
}

bool SendmailConfig::is_on(std::string_view option_name) const {
  const auto value = option(option_name);
  // As Sendmail's atobool(): nothing at all means true.
  return value && (value->empty() ||
                   std::string_view("tTyY1").find(value->front()) != std::string_view::npos);
}

bool SendmailConfig::has_word(std::string_view option_name, std::string_view word) const {
  const auto words = split_list(lower_case(option(option_name).value_or("")));
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool SendmailConfig::uses_search_list() const {
  bool names_with_dots = true, names_without = true;
  for (std::string_view word : split_list(lower_case(option("ResolverOptions").value_or("")))) {
    const bool is_on = !word.starts_with('-');
    if (word.starts_with('-') || word.starts_with('+')) word.remove_prefix(1);
    if (word == "dnsrch") names_with_dots = is_on;
    if (word == "defnames") names_without = is_on;
  }
  return names_with_dots || names_without;
}

const SendmailMap* SendmailConfig::map(std::string_view name) const {
  return found_in(maps_, name);
}

const SendmailEquates* SendmailConfig::milter(std::string_view name) const {
  return found_in(milters_, name);
}

std::vector<SendmailRule> SendmailConfig::ruleset(std::string_view name) const {
  const auto* rules = found_in(rulesets_, name);
  return rules == nullptr ? std::vector<SendmailRule>() : *rules;
}

std::set<std::string> SendmailConfig::class_members(std::string_view name) const {
  const auto* members = found_in(classes_, name);
  return members == nullptr ? std::set<std::string>() : *members;
}

std::string SendmailConfig::macro(std::string_view name) const {
  const auto* value = found_in(macros_, name);
  return value == nullptr ? std::string() : *value;
}

std::vector<std::string> SendmailConfig::input_milters() const {
  return milters_in(option("InputMailFilters").value_or(""));
}

std::vector<std::string> SendmailConfig::all_input_milters() const {
  std::vector<std::string> all = input_milters();
  std::set<std::string> named(all.begin(), all.end());
  for (const DaemonMilters& daemon : daemon_milters_)
    for (const std::string& name : daemon.milters)
      if (named.insert(name).second) all.push_back(name);
  return all;
}

std::string our_spelling_of(std::string_view address) {
  for (const std::string_view scheme : {"unix:", "local:"})
    if (address.starts_with(scheme)) return "unix:" + std::string(address.substr(scheme.size()));
  if (address.starts_with('/')) return "unix:" + std::string(address);
  const bool is_six = address.starts_with("inet6:");
  const auto at = address.find('@');
  if ((!is_six && !address.starts_with("inet:")) || at == address.npos) return std::string(address);
  const std::string_view port = address.substr(is_six ? 6 : 5, at - (is_six ? 6 : 5));
  std::string host(address.substr(at + 1));
  if (host.starts_with("[") && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.find(':') != host.npos) host = "[" + host + "]";
  return "inet:" + host + ":" + std::string(port);
}

std::string sendmail_spelling_of(std::string_view address) {
  if (!address.starts_with("inet:")) return std::string(address);
  const auto colon = address.rfind(':');
  const std::string_view port = address.substr(colon + 1);
  std::string_view host = address.substr(5, colon - std::min<std::size_t>(colon, 5));
  if (!is_digits(port)) return std::string(address);
  if (!host.starts_with('[')) return inet_address("inet:", port, host);
  return inet_address("inet6:", port, host.substr(1, host.size() - 2));
}

}  // namespace forcetls
