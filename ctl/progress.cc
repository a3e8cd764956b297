#include "ctl/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace forcetls {
namespace {

constexpr std::chrono::milliseconds kPatience{500};
constexpr std::chrono::milliseconds kBetweenDraws{100};
constexpr std::size_t kWidth = 30;

}  // namespace

Progress::Progress(std::string what, std::size_t total)
    : what_(std::move(what)),
      total_(total),
      started_(std::chrono::steady_clock::now()),
      drawn_(started_),
      is_terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (is_drawn_) fmt::print(stderr, "\r\033[K");
}

void Progress::step() {
  ++done_;
  const auto now = std::chrono::steady_clock::now();
  if (!is_terminal_ || now - started_ < kPatience || now - drawn_ < kBetweenDraws) return;
  drawn_ = now;
  is_drawn_ = true;
  draw();
}

void Progress::draw() const {
  const std::size_t filled = total_ == 0 ? kWidth : kWidth * std::min(done_, total_) / total_;
  fmt::print(stderr, "\r{} [{:<{}}] {}/{}", what_, std::string(filled, '#'), kWidth, done_, total_);
  std::fflush(stderr);
}

}  // namespace forcetls
