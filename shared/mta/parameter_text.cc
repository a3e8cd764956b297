#include "shared/mta/parameter_text.h"

#include <algorithm>
#include <utility>

#include "shared/core/ascii.h"

namespace forcetls {
namespace {

constexpr std::string_view kListSeparators = " \t\r\n,";
/// Values may name each other; Postfix gives up too (postfix: mac_expand.c, MAC_EXP_MAX_LEVEL).
constexpr int kDeepest = 20;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// The length of the bracketed text that `text` begins with, both brackets included; 0: no end.
std::size_t bracketed_size(std::string_view text, char open, char close) {
  std::size_t depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == open) ++depth;
    if (text[i] == close && --depth == 0) return i + 1;
  }
  return 0;
}

void skip_blanks(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
}

/// Takes "{...}" off the front of `text`, and gives what is inside.
std::optional<std::string_view> take_braced(std::string_view& text) {
  skip_blanks(text);
  if (!text.starts_with('{')) return std::nullopt;
  const std::size_t size = bracketed_size(text, '{', '}');
  if (size == 0) return std::nullopt;
  const std::string_view inside = text.substr(1, size - 2);
  text.remove_prefix(size);
  return inside;
}

void remove_part(std::string_view& version) {
  const auto dot = version.find('.');
  version.remove_prefix(dot == version.npos ? version.size() : dot + 1);
}

/// -1, 0 or 1. Levels ("3.6", "3.10") and numbers are compared by their parts.
int compare_by_parts(std::string_view a, std::string_view b) {
  while (!a.empty() || !b.empty()) {
    const int x = number_in(a), y = number_in(b);
    if (x != y) return x < y ? -1 : 1;
    remove_part(a);
    remove_part(b);
  }
  return 0;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

bool holds(std::string_view left, std::string_view relation, std::string_view right) {
  const bool by_parts = relation.ends_with("level") || (is_number(left) && is_number(right));
  const int order = by_parts ? compare_by_parts(left, right) : left.compare(right);
  if (relation.ends_with("level")) relation.remove_suffix(5);
  if (relation == "==") return order == 0;
  if (relation == "!=") return order != 0;
  if (relation == "<") return order < 0;
  if (relation == "<=") return order <= 0;
  if (relation == ">") return order > 0;
  return relation == ">=" && order >= 0;
}

class Expansion {
 public:
  explicit Expansion(const ParameterLookup& raw_value) : raw_value_(raw_value) {}

  std::string of_text(std::string_view text, int depth) const {
    std::string result;
    while (!text.empty()) {
      const auto dollar = std::min(text.find('$'), text.size());
      result += text.substr(0, dollar);
      text.remove_prefix(dollar);
      if (!text.empty()) result += of_dollar(text, depth);
    }
    return result;
  }

 private:
  std::string of_name(std::string_view name, int depth) const {
    // A value that names itself several times would otherwise grow by that much at each level.
    const bool names_itself = std::find(open_.begin(), open_.end(), name) != open_.end();
    const auto raw = names_itself || depth >= kDeepest ? std::nullopt : raw_value_(name);
    if (!raw) return {};
    open_.push_back(name);
    std::string value = of_text(*raw, depth + 1);
    open_.pop_back();
    return value;
  }

  /// Takes what begins with '$' off the front of `text`.
  std::string of_dollar(std::string_view& text, int depth) const {
    const std::string_view rest = text.substr(1);
    if (rest.starts_with('$')) return text.remove_prefix(2), "$";
    for (const auto& [open, close] : {std::pair{'{', '}'}, std::pair{'(', ')'}}) {
      const std::size_t size = rest.starts_with(open) ? bracketed_size(rest, open, close) : 0;
      if (size == 0) continue;
      text.remove_prefix(size + 1);
      return of_braces(rest.substr(1, size - 2), depth);
    }
    const auto end = std::find_if_not(rest.begin(), rest.end(), is_name_character);
    const std::string_view name = rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
    text.remove_prefix(1 + name.size());
    return name.empty() ? "$" : of_name(name, depth);
  }

  /// What stands between the braces of ${...}.
  std::string of_braces(std::string_view inside, int depth) const {
    inside = without_blanks(inside);
    if (inside.starts_with('{')) return of_comparison(inside, depth);
    const auto end = std::find_if_not(inside.begin(), inside.end(), is_name_character);
    const std::string_view name = inside.substr(0, static_cast<std::size_t>(end - inside.begin()));
    std::string value = of_name(name, depth);
    const std::string_view choice = without_blanks(inside.substr(name.size()));
    if (choice.empty()) return value;
    return of_choice(choice, !value.empty(), depth);
  }

  std::string of_comparison(std::string_view text, int depth) const {
    const auto left = take_braced(text);
    skip_blanks(text);
    const auto brace = std::min(text.find('{'), text.size());
    const std::string_view relation = without_blanks(text.substr(0, brace));
    text.remove_prefix(brace);
    const auto right = take_braced(text);
    if (!left || !right) return {};
    const bool truth = holds(of_text(*left, depth), relation, of_text(*right, depth));
    skip_blanks(text);
    // Without a choice, a comparison is itself a text (postfix: mac_expand.c).
    if (text.empty()) return truth ? "bool:true" : "";
    return of_choice(text, truth, depth);
  }

  /// "?text", ":text", "?{text}:{text}".
  std::string of_choice(std::string_view text, bool truth, int depth) const {
    const char sign = text.front();
    text.remove_prefix(1);
    std::string_view rest = text;
    const auto first = take_braced(rest);
    if (!first) return (sign == '?') == truth ? of_text(text, depth) : std::string();
    if ((sign == '?') == truth) return of_text(*first, depth);
    skip_blanks(rest);
    if (sign != '?' || !rest.starts_with(':')) return {};
    rest.remove_prefix(1);
    const auto second = take_braced(rest);
    return of_text(second ? *second : rest, depth);
  }

  const ParameterLookup& raw_value_;
  mutable std::vector<std::string_view> open_{};  ///< the names being expanded
};

}  // namespace

std::string expand(std::string_view text, const ParameterLookup& raw_value) {
  return Expansion(raw_value).of_text(text, 0);
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> elements;
  std::size_t depth = 0;
  bool inside = false;
  for (const char c : text) {
    const bool separates = depth == 0 && kListSeparators.find(c) != kListSeparators.npos;
    if (!separates && !inside) elements.emplace_back();
    inside = !separates;
    if (inside) elements.back() += c;
    if (c == '{') ++depth;
    if (c == '}' && depth > 0) --depth;
  }
  return elements;
}

std::vector<std::string> patterns_in(std::string_view text) {
  std::vector<std::string> patterns;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    for (std::string& pattern : split_list(text.substr(0, end))) {
      if (pattern.starts_with('#')) break;
      patterns.push_back(std::move(pattern));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return patterns;
}

std::vector<std::string> inside_braces(std::string_view text) {
  text = without_blanks(text);
  if (!text.starts_with('{') || !text.ends_with('}')) return {std::string(text)};
  return split_list(text.substr(1, text.size() - 2));
}

std::string_view without_blanks(std::string_view text) {
  const auto begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

bool is_yes(std::string_view value) { return equal_ignoring_case(value, "yes"); }

}  // namespace forcetls
