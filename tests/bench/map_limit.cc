// The limit that a socketmap server cannot beat on this machine: answers every request with the
// same text, in one thread.
//   map_limit SOCKET
#include <array>
#include <vector>

#include "tests/bench/map_socket.h"

using namespace forcetls;
using namespace forcetls::bench;

namespace {

// As long as an answer at the level secure.
constexpr std::string_view kReply =
    "88:OK secure match=nexthop:dot-nexthop protocols=!SSLv2:!SSLv3:!TLSv1:!TLSv1.1 ciphers=high,";

struct Client {
  UniqueFd socket;
  std::string inbox;
};

UniqueFd listen_on(const std::string& path) {
  const auto address = address_of(path);
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM, 0));
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener.get(), SOMAXCONN) != 0)
    give_up(path.c_str());
  return listener;
}

/// False: the client is gone.
bool serve(Client& client) {
  std::array<char, 4096> bytes{};
  const auto got = ::recv(client.socket.get(), bytes.data(), bytes.size(), 0);
  if (got <= 0) return false;
  client.inbox.append(bytes.data(), static_cast<std::size_t>(got));
  std::string out;
  std::size_t taken = 0;
  while (const auto size = netstring_size(std::string_view(client.inbox).substr(taken))) {
    taken += size;
    out += kReply;
  }
  client.inbox.erase(0, taken);
  return out.empty() ||
         ::send(client.socket.get(), out.data(), out.size(), MSG_NOSIGNAL) == ssize_t(out.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: map_limit SOCKET\n", stderr);
    return 64;
  }
  const UniqueFd listener = listen_on(argv[1]);
  const UniqueFd epoll(::epoll_create1(0));
  watch(epoll, listener.get(), 0);
  std::vector<Client> clients(1);
  std::array<epoll_event, 256> events{};
  for (;;) {
    const int count = ::epoll_wait(epoll.get(), events.data(), int(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const auto place = events.at(std::size_t(i)).data.u32;
      if (place != 0) {
        if (!serve(clients[place])) clients[place].socket = UniqueFd();
        continue;
      }
      Client client{UniqueFd(::accept(listener.get(), nullptr, nullptr)), {}};
      watch(epoll, client.socket.get(), std::uint32_t(clients.size()));
      clients.push_back(std::move(client));
    }
  }
}
