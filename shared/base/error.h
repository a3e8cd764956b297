// What can go wrong while the programs run, as values. Operational failures travel as Result<T>;
// whoever acts on one logs it, whoever passes it on adds context: never both.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace forcetls {

enum class ErrorCode {
  Malformed,      ///< bytes from outside are not of the protocol's or the language's form
  TooLong,        ///< a limit on size was exceeded
  Incomplete,     ///< the end is missing: more bytes may come
  Unconvertible,  ///< a name cannot be turned into A-labels, so no rule can be looked for
  Unavailable,    ///< no policy could be read since the start
  NotFound,       ///< a file that must be there is not
  Busy,           ///< somebody else is writing: try again
  NotOurs,        ///< a file, but not a forcetls database
  WrongSchema,    ///< a forcetls database of an older or newer schema
  Corrupt,        ///< a forcetls database whose content is damaged or breaks a rule
  Denied,         ///< the operating system does not permit it
  System,         ///< the operating system failed
};

struct Error {
  ErrorCode code;
  std::string context;  ///< one line, names the file, row or setting to change
};

/// The error with "what: " put before its context, for crossing from one folder to the next.
inline Error within(std::string_view what, Error error) {
  error.context.insert(0, ": ").insert(0, what);
  return error;
}

}  // namespace forcetls
