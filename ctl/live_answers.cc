#include "ctl/live_answers.h"

#include <cstddef>
#include <deque>

#include "shared/base/clock.h"

namespace forcetls {

doctor::LiveAnswers ask_policyd(const BatchLookup& lookup, const std::vector<std::string>& keys) {
  doctor::LiveAnswers live;
  live.asked_at = SystemClock().now();
  std::deque<std::vector<std::string>> batches{keys};
  int failures = 0;
  for (; !batches.empty(); batches.pop_front()) {
    const std::vector<std::string>& batch = batches.front();
    if (batch.empty()) continue;
    auto answers = lookup(batch);
    if (answers) {
      live.answers.merge(*answers);
      continue;
    }
    const bool is_late = answers.error().code == ErrorCode::Busy;
    if (is_late || batch.size() == 1 || ++failures >= kMostFailingLookups) {
      for (const std::string& key : batch) live.failures.emplace(key, answers.error().context);
      continue;
    }
    const auto middle = batch.begin() + static_cast<std::ptrdiff_t>(batch.size() / 2);
    batches.emplace_back(batch.begin(), middle);
    batches.emplace_back(middle, batch.end());
  }
  return live;
}

}  // namespace forcetls
