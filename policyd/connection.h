// One client of the daemon, from accept to close, and the register of all of them. One thread.
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <string>

#include "policyd/async.h"
#include "policyd/dialogue.h"

namespace forcetls {

using SteadyTime = std::chrono::steady_clock::time_point;

/// How long a client may take over one request, and over taking its reply. Idle time between
/// requests is not limited: Postfix keeps connections for minutes, Sendmail for its whole life.
constexpr std::chrono::seconds kRequestTimeout{10};

/// A register of the open connections, for the limits on their number and time, and for the end.
class ConnectionRegister {
 public:
  struct Entry {
    Socket* socket = nullptr;
    SteadyTime since{};    ///< when the present state began
    bool waiting = false;  ///< a request is begun, or its reply is not taken yet
  };
  using Ticket = std::list<Entry>::iterator;

  explicit ConnectionRegister(std::size_t most) : most_(most) {}

  /// Sees to it that there is a place, if need be that of the client that has been idle longest
  /// (its MTA reconnects), or, if all are in the middle of a request, of the one that is slowest.
  void make_room();
  Ticket enter(Socket& socket);
  void leave(Ticket ticket) { entries_.erase(ticket); }
  /// `answered`: a request was completed just now, so the time for the next one begins.
  void mark(Ticket ticket, bool waiting, bool answered);

  /// Closes those that have been in the middle of a request for too long. Returns how many.
  std::size_t close_overdue(SteadyTime now);
  /// Lets each answer what it has been sent, and close.
  void drain();
  void close_all();
  std::size_t size() const { return entries_.size(); }
  /// How many connections make_room() has closed.
  std::size_t gave_way() const { return gave_way_; }

 private:
  std::size_t most_;
  std::list<Entry> entries_;
  std::size_t gave_way_ = 0;
};

/// Serves `socket` until the client closes, breaks the protocol, or is closed by the register.
/// All three arguments must outlive the coroutine.
Task<void> serve(Socket socket, Service service, Context& context, ConnectionRegister& connections);

}  // namespace forcetls
