// What every connection of the daemon shares. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/db/policy_source.h"

namespace forcetls {

/// The policy in force, asked for at every request: a new one is taken up between two requests.
class PolicyView {
 public:
  explicit PolicyView(const PolicySource& source) : source_(source) {}

  /// Null if no policy could be read since the start. Valid until the next call.
  const RuleStore* now() {
    if (const auto generation = source_.generation(); generation != generation_) {
      generation_ = generation;
      policy_ = source_.current();
    }
    return policy_.get();
  }

 private:
  const PolicySource& source_;
  std::shared_ptr<const RuleStore> policy_;
  std::uint64_t generation_ = 0;
};

struct Context {
  PolicyView policy;
  Clock& clock;
  Log log;
  std::chrono::steady_clock::time_point next_temp_line{};
  std::string reply{};  ///< scratch, so that a lookup allocates nothing
};

}  // namespace forcetls
