#include "policyd/connection.h"

#include <asio/buffer.hpp>
#include <asio/write.hpp>
#include <tuple>
#include <vector>

namespace forcetls {
namespace {

constexpr std::size_t kFirstBufferBytes = 1024;

/// A connection's place in the register, given back at the end of its coroutine.
class Place {
 public:
  Place(ConnectionRegister& connections, Socket& socket)
      : connections_(connections), ticket_(connections.enter(socket)) {}
  ~Place() { connections_.leave(ticket_); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  void mark(bool waiting, bool answered) { connections_.mark(ticket_, waiting, answered); }

 private:
  ConnectionRegister& connections_;
  ConnectionRegister::Ticket ticket_;
};

/// Bytes of a client that are not answered yet. Grows up to the service's limit.
class Inbox {
 public:
  explicit Inbox(std::size_t limit) : limit_(limit), bytes_(kFirstBufferBytes) {}

  asio::mutable_buffer space() {
    if (used_ == bytes_.size()) bytes_.resize(std::min(limit_, bytes_.size() * 2));
    return asio::buffer(bytes_) + used_;
  }
  void added(std::size_t count) { used_ += count; }
  std::string_view unanswered() const { return {bytes_.data(), used_}; }
  void consume(std::size_t count) {
    std::copy(bytes_.begin() + static_cast<std::ptrdiff_t>(count),
              bytes_.begin() + static_cast<std::ptrdiff_t>(used_), bytes_.begin());
    used_ -= count;
    parsed_ = scanned_ = used_;
  }
  /// False while no more can have come than a part of a request that ends with an empty line. True
  /// each time that it has doubled, too, so that a broken one is noticed: one that drips in byte by
  /// byte costs no more than its size.
  bool may_have_empty_line() {
    const auto from = scanned_ == 0 ? 0 : scanned_ - 1;
    const bool found = unanswered().find("\n\n", from) != std::string_view::npos;
    scanned_ = used_;
    return found || used_ >= 2 * parsed_ || used_ == limit_;
  }
  bool empty() const { return used_ == 0; }

 private:
  std::size_t limit_;
  std::vector<char> bytes_;
  std::size_t used_ = 0;
  std::size_t parsed_ = 0;   ///< how much of it was there when it was last parsed
  std::size_t scanned_ = 0;  ///< how much of it has been searched for an empty line
};

/// Answers all complete requests. False: the client broke the protocol.
bool answer_all(Service service, Context& context, Inbox& inbox, std::string& out) {
  if (service == Service::Policy && !inbox.may_have_empty_line()) return true;
  std::size_t done = 0;
  for (;;) {
    const auto taken = answer_one(service, context, inbox.unanswered().substr(done), out);
    if (!taken) {
      context.log.warning("service={} closing a connection: {}", to_text(service),
                          taken.error().context);
      return false;
    }
    if (*taken == 0) break;
    done += *taken;
  }
  inbox.consume(done);
  return true;
}

/// Sends what the client's buffer takes, mostly all: a reply is small. The rest has to wait for it.
std::size_t send_now(Socket& socket, const std::string& out) {
  if (out.empty()) return 0;
  asio::error_code failed_or_full;
  return socket.send(asio::buffer(out), MSG_NOSIGNAL | MSG_DONTWAIT, failed_or_full);
}

}  // namespace

void ConnectionRegister::make_room() {
  if (entries_.size() < most_) return;
  const auto gives_way = [](const Entry& a, const Entry& b) {
    return std::tuple(a.socket->is_open() ? 0 : 1, a.waiting, a.since) <
           std::tuple(b.socket->is_open() ? 0 : 1, b.waiting, b.since);
  };
  const auto chosen = std::min_element(entries_.begin(), entries_.end(), gives_way);
  asio::error_code ignored;
  chosen->socket->close(ignored);
  ++gave_way_;
}

ConnectionRegister::Ticket ConnectionRegister::enter(Socket& socket) {
  return entries_.insert(entries_.end(), {&socket, std::chrono::steady_clock::now(), false});
}

void ConnectionRegister::mark(Ticket ticket, bool waiting, bool answered) {
  if (waiting == ticket->waiting && !answered) return;
  ticket->waiting = waiting;
  ticket->since = std::chrono::steady_clock::now();
}

std::size_t ConnectionRegister::close_overdue(SteadyTime now) {
  std::size_t closed = 0;
  for (Entry& entry : entries_) {
    if (!entry.waiting || now - entry.since < kRequestTimeout) continue;
    asio::error_code ignored;
    entry.socket->close(ignored);
    ++closed;
  }
  return closed;
}

void ConnectionRegister::drain() {
  // What a client has sent already stays readable; then the read ends, and with it the coroutine.
  asio::error_code ignored;
  for (Entry& entry : entries_) entry.socket->shutdown(Socket::shutdown_receive, ignored);
}

void ConnectionRegister::close_all() {
  asio::error_code ignored;
  for (Entry& entry : entries_) entry.socket->close(ignored);
}

Task<void> serve(Socket socket, Service service, Context& context,
                 ConnectionRegister& connections) {
  asio::error_code ignored;
  socket.non_blocking(true, ignored);
  Place place(connections, socket);
  Inbox inbox(request_limit(service));
  std::string out;
  for (;;) {
    const auto [read_error, count] = co_await socket.async_read_some(inbox.space(), kAwait);
    if (read_error) co_return;
    inbox.added(count);
    out.clear();
    const bool well_formed = answer_all(service, context, inbox, out);
    if (const auto sent = send_now(socket, out); sent < out.size()) {
      place.mark(true, true);
      const auto [write_error, written] =
          co_await asio::async_write(socket, asio::buffer(out) + sent, kAwait);
      if (write_error) co_return;
    }
    if (!well_formed) co_return;
    place.mark(!inbox.empty(), !out.empty());
  }
}

}  // namespace forcetls
