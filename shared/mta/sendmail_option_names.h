// The names of Sendmail's options, which a file may abbreviate. Pure.
#pragma once

#include <string>
#include <string_view>

namespace forcetls {

/// The whole name, in lower case, of an option that is written in lower case: itself, or the only
/// one that begins so, as Sendmail takes it (sendmail: readcf.c, setoption()). A part behind a dot
/// stays as it is. Empty where several begin so, which Sendmail ignores; a name that nobody knows
/// is given back.
std::string sendmail_option_meant_by(std::string_view name);

/// The name of the option that `text` sets in the old form, by its first letter ("pgoaway"); empty
/// for one that we do not look at.
std::string_view sendmail_option_of_letter(std::string_view text);

}  // namespace forcetls
