// The language inside Postfix's parameter values: $name expansion and lists. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace forcetls {

/// The raw value of a parameter; nothing if it is not defined anywhere.
using ParameterLookup = std::function<std::optional<std::string_view>(std::string_view name)>;

/// `text` with $name, $(name), ${name}, ${name?text}, ${name:text}, ${name?{text}:{text}} and
/// ${{text} == {text} ? {text} : {text}} replaced (postfix: postconf(5)). What is not defined is
/// empty, as for Postfix; what is malformed stays as it is. A value that names itself ends empty.
std::string expand(std::string_view text, const ParameterLookup& raw_value);

/// The elements of a list, separated by commas and blanks. {…} is kept together, braces included.
std::vector<std::string> split_list(std::string_view text);

/// The elements of a /file in a list of domains (postfix: match_list.c): each line is a list, and #
/// begins a comment.
std::vector<std::string> patterns_in(std::string_view text);

/// The elements inside one pair of braces: "{ unix:a, timeout=10s }" gives two. Without braces the
/// text is the only element.
std::vector<std::string> inside_braces(std::string_view text);

/// `text` without blanks at both ends.
std::string_view without_blanks(std::string_view text);

/// True for "yes" in any case: Postfix's booleans.
bool is_yes(std::string_view value);

}  // namespace forcetls
