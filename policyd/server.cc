#include "policyd/server.h"

#include <pthread.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/ip/tcp.hpp>
#include <csignal>

#include "shared/base/systemd.h"

namespace forcetls {
namespace {

constexpr std::chrono::seconds kSweepInterval{1};
constexpr std::chrono::milliseconds kDrainStep{10};

Task<void> pause(asio::steady_timer& timer, std::chrono::steady_clock::duration time) {
  timer.expires_after(time);
  co_await timer.async_wait(kAwait);
}

/// One signal is enough: another must not kill a server that is still giving its last answers.
void ignore_further_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT}) ::sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

/// A reply is one small packet: never wait for more of them.
void send_at_once(Socket& socket) {
  asio::error_code not_tcp;
  socket.set_option(asio::ip::tcp::no_delay(true), not_tcp);
}

}  // namespace

Server::Server(asio::io_context& io, const PolicySource& source, Clock& clock, Log log,
               std::size_t most_connections)
    : io_(io),
      context_{PolicyView(source), clock, log},
      connections_(most_connections),
      signals_(io, SIGTERM, SIGINT),
      sweep_timer_(io) {}

void Server::listen(Service service, Acceptor acceptor) {
  const SocketFile file(acceptor.native_handle());
  listeners_.push_back({service, std::move(acceptor), file});
}

void Server::run() {
  for (Listener& listener : listeners_) asio::co_spawn(io_, accept_all(listener), asio::detached);
  asio::co_spawn(io_, sweep(), asio::detached);
  asio::co_spawn(io_, wait_for_end(), asio::detached);
  systemd::notify_ready();
  io_.run();
}

Task<void> Server::accept_all(Listener& listener) {
  asio::steady_timer timer(io_);
  while (!ending_) {
    auto [error, socket] = co_await listener.acceptor.async_accept(kAwait);
    if (error == asio::error::operation_aborted) co_return;
    if (error) {
      context_.log.error("service={} cannot accept a connection: {}", to_text(listener.service),
                         error.message());
      co_await pause(timer, kSweepInterval);  // out of descriptors, say: others may close meanwhile
      continue;
    }
    admit(std::move(socket), listener.service);
  }
}

void Server::admit(Socket socket, Service service) {
  connections_.make_room();
  send_at_once(socket);
  asio::co_spawn(io_, serve(std::move(socket), service, context_, connections_), asio::detached);
}

/// Not at each: clients that come back at once would fill the log.
void Server::tell_who_gave_way() {
  if (connections_.gave_way() == told_gave_way_) return;
  told_gave_way_ = connections_.gave_way();
  context_.log.warning(
      "max_connections reached: the longest idle or slowest connection gives way ({} so far)",
      told_gave_way_);
}

Task<void> Server::sweep() {
  const auto watchdog = systemd::watchdog_interval();
  std::chrono::steady_clock::duration interval = kSweepInterval;
  if (watchdog && *watchdog / 4 < interval) interval = *watchdog / 4;
  auto next_sign_of_life = std::chrono::steady_clock::now();
  while (!ending_) {
    const auto now = std::chrono::steady_clock::now();
    if (watchdog && now >= next_sign_of_life) {
      systemd::notify_alive();
      next_sign_of_life = now + *watchdog / 2;
    }
    context_.policy.now();  // lets go of an older policy, also when nobody asks
    if (const auto closed = connections_.close_overdue(now); closed > 0)
      context_.log.warning("closed {} connection(s) that took over {} s for one request", closed,
                           kRequestTimeout.count());
    tell_who_gave_way();
    for (Listener& listener : listeners_) listener.file.tell_if_lost(context_.log, now);
    co_await pause(sweep_timer_, interval);
  }
}

Task<void> Server::wait_for_end() {
  const auto [error, signal] = co_await signals_.async_wait(kAwait);
  if (error) co_return;
  ignore_further_signals();
  ending_ = true;
  systemd::notify_stopping();
  context_.log.info("ending on signal {}: {} connection(s) open", signal, connections_.size());
  for (Listener& listener : listeners_) {
    asio::error_code ignored;
    listener.acceptor.close(ignored);
  }
  connections_.drain();
  asio::steady_timer timer(io_);
  const auto deadline = std::chrono::steady_clock::now() + kDrainTimeout;
  while (connections_.size() > 0 && std::chrono::steady_clock::now() < deadline)
    co_await pause(timer, kDrainStep);
  connections_.close_all();
  sweep_timer_.cancel();  // the last one: run() returns when nothing is left to wait for
}

}  // namespace forcetls
