// What the MTA says beside the SMTP commands. Which macros come, and when, differs from MTA to MTA
// and from site to site, so every one of them may be missing.
#pragma once

#include <string_view>

namespace forcetls {

/// Seam: libmilter's macros in callbacks.cc, a table in the tests.
class Macros {
 public:
  virtual ~Macros() = default;
  /// The value of "i", "{rcpt_addr}" ... as known at this step; empty if it was not sent. The view
  /// lasts until the end of the step.
  virtual std::string_view find(const char* name) const = 0;
};

}  // namespace forcetls
