// The daemon at work: accepts, serves, watches the limits, ends in good order. One thread.
#pragma once

#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <list>

#include "policyd/connection.h"
#include "policyd/context.h"
#include "policyd/listener.h"
#include "shared/base/socket_file.h"

namespace forcetls {

/// How long the end waits for requests that are being answered.
constexpr std::chrono::seconds kDrainTimeout{5};

class Server {
 public:
  /// `source` and `clock` must outlive the server.
  Server(asio::io_context& io, const PolicySource& source, Clock& clock, Log log,
         std::size_t most_connections);

  void listen(Service service, Acceptor acceptor);

  /// Serves until SIGTERM or SIGINT; then answers what has been asked, and returns.
  void run();

 private:
  struct Listener {
    Service service;
    Acceptor acceptor;
    SocketFile file;
  };

  Task<void> accept_all(Listener& listener);
  Task<void> sweep();
  Task<void> wait_for_end();
  void admit(Socket socket, Service service);
  void tell_who_gave_way();

  asio::io_context& io_;
  Context context_;
  ConnectionRegister connections_;
  std::list<Listener> listeners_;
  asio::signal_set signals_;
  asio::steady_timer sweep_timer_;
  std::size_t told_gave_way_ = 0;
  bool ending_ = false;
};

}  // namespace forcetls
