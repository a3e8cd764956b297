// The command of a master.cf entry: a program and its arguments. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace forcetls {

/// `command` ("smtpd -o a=b -o {c = d e}", as postconf -F prints it) where each option of `values`
/// has its new value: in place where it is there, at the end where it is not. Everything else stays
/// as it is and where it is.
std::string with_options(std::string_view command,
                         const std::vector<std::pair<std::string, std::string>>& values);

}  // namespace forcetls
