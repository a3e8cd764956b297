// A bar on standard error while something takes long, for whoever looks at a terminal.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace forcetls {

/// Draws nothing unless standard error is a terminal and half a second has passed.
class Progress {
 public:
  Progress(std::string what, std::size_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void step();

 private:
  void draw() const;

  std::string what_;
  std::size_t total_, done_ = 0;
  std::chrono::steady_clock::time_point started_, drawn_;
  bool is_terminal_;
  bool is_drawn_ = false;
};

}  // namespace forcetls
