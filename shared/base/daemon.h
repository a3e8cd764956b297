// How our daemons begin and end: log, descriptors, the one line on stderr when they cannot start.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "shared/base/log.h"

namespace forcetls {

/// To stderr, or to the syslog. `program` must outlive it.
std::unique_ptr<LogSink> open_log(const char* program, bool foreground);

/// As many descriptors as the hard limit allows: each connection takes one. Returns how many.
std::size_t raise_descriptor_limit();

/// Runs `program` and returns its exit status; if it throws, one line says why, and the status is
/// that of the CannotStart, else EX_CONFIG. Nothing escapes, not even a stderr that is gone.
int guarded_main(const char* name, const std::function<int()>& program) noexcept;

}  // namespace forcetls
