// The file by which clients reach a listening unix socket. It can go while the socket stays open:
// when the MTA is purged, or when its queue directory is restored or moved.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "shared/base/log.h"

namespace forcetls {

class SocketFile {
 public:
  /// That of `listener`, a socket of any family. Only a unix socket that has a path has a file, and
  /// only such a file can be lost. A socket of systemd's may have lost it before we start, also to
  /// a copy of itself, which nobody listens behind.
  explicit SocketFile(int listener);

  /// Whether it was removed, or another file is in its place. A file that we may not look at counts
  /// as there.
  bool is_lost() const;

  /// While it is lost, says so once a minute.
  void tell_if_lost(const Log& log, std::chrono::steady_clock::time_point now);

 private:
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  std::chrono::steady_clock::time_point next_line_{};
};

}  // namespace forcetls
