// Any bytes as forcetls.conf: a configuration, or an error that names file and line.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "shared/base/config.h"
#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace forcetls;
  static const int file = ::memfd_create("forcetls.conf", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  require(::ftruncate(file, 0) == 0);
  require(::pwrite(file, bytes, size, 0) == static_cast<ssize_t>(size));
  const auto config = read_config(path);
  if (!config) {
    require(config.error().code == ErrorCode::Malformed);
    require(config.error().context.starts_with(path + ":"));
    return 0;
  }
  require(!config->policy_db.empty() && !config->evidence_db.empty());
  require(config->max_connections > 0);
  for (const auto* list : {&config->listen_policy, &config->listen_map, &config->listen_milter})
    for (const ListenAddress& address : *list) require(!!ListenAddress::parse(address.text()));
  return 0;
}
