// Owns a file descriptor.
#pragma once

#include <unistd.h>

#include <utility>

namespace forcetls {

class UniqueFd {
 public:
  /// Takes over `descriptor`; -1 is none, as open(2) and its like return on failure.
  explicit UniqueFd(int descriptor = -1) noexcept : descriptor_(descriptor) {}
  UniqueFd(UniqueFd&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~UniqueFd() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const noexcept { return descriptor_; }
  explicit operator bool() const noexcept { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

}  // namespace forcetls
