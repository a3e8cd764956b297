#include "shared/base/daemon.h"

#include <sys/resource.h>

#include <cstdio>

#include "shared/base/cannot_start.h"

namespace forcetls {

std::unique_ptr<LogSink> open_log(const char* program, bool foreground) {
  if (foreground) return std::make_unique<StderrSink>(program);
  return std::make_unique<SyslogSink>(program);
}

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : before;
}

int guarded_main(const char* name, const std::function<int()>& program) noexcept try {
  return program();
} catch (const CannotStart& error) {
  std::fprintf(stderr, "%s: %s\n", name, error.what());
  return error.exit_status();
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s: %s\n", name, error.what());
  return EX_CONFIG;
}

}  // namespace forcetls
