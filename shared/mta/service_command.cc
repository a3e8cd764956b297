#include "shared/mta/service_command.h"

#include <algorithm>

#include "shared/core/ascii.h"
#include "shared/mta/parameter_text.h"

namespace forcetls {
namespace {

/// The arguments; {...} is one of them, braces included (postfix: master.cf(5)).
std::vector<std::string> arguments_of(std::string_view command) {
  std::vector<std::string> arguments;
  for (auto begin = command.find_first_not_of(kBlanks); begin != command.npos;
       begin = command.find_first_not_of(kBlanks, begin)) {
    const bool braced = command[begin] == '{';
    int depth = 0;
    auto end = begin;
    while (end < command.size() && (depth > 0 || kBlanks.find(command[end]) == kBlanks.npos)) {
      if (braced && command[end] == '{') ++depth;
      if (braced && command[end] == '}') --depth;
      ++end;
    }
    arguments.emplace_back(command.substr(begin, end - begin));
    begin = end;
  }
  return arguments;
}

/// The parameter in "name=value" or "{ name = value }".
std::string_view parameter_of(std::string_view argument) {
  if (argument.starts_with('{')) argument.remove_prefix(1);
  return without_blanks(argument.substr(0, argument.find('=')));
}

std::string option(const std::string& name, const std::string& value) {
  const bool plain = value.find_first_of(kBlanks) == value.npos && !value.starts_with('{');
  return plain ? name + "=" + value : "{ " + name + " = " + value + " }";
}

}  // namespace

std::string with_options(std::string_view command,
                         const std::vector<std::pair<std::string, std::string>>& values) {
  std::vector<std::string> arguments = arguments_of(command);
  for (const auto& [name, value] : values) {
    bool found = false;
    for (std::size_t i = 0; i + 1 < arguments.size(); ++i) {
      if (arguments[i] != "-o" || parameter_of(arguments[i + 1]) != name) continue;
      arguments[++i] = option(name, value);
      found = true;
    }
    if (found) continue;
    arguments.emplace_back("-o");
    arguments.push_back(option(name, value));
  }
  std::string text;
  for (const std::string& argument : arguments) text += (text.empty() ? "" : " ") + argument;
  return text;
}

}  // namespace forcetls
