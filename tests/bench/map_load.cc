// Load for a socketmap server as Postfix makes it: many connections that stay, one request at a
// time on each, the next one as soon as the answer is there. Prints one line of JSON.
//   map_load SOCKET MAP KEYS_FILE CONNECTIONS SECONDS SERVER_PID START_OF_ANSWERS
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <random>
#include <vector>

#include "tests/bench/map_socket.h"

using namespace forcetls;
using namespace forcetls::bench;
using Clock = std::chrono::steady_clock;

namespace {

struct Connection {
  UniqueFd socket;
  std::string inbox;
  Clock::time_point asked;
};

struct Figures {
  std::vector<float> latencies_us;
  std::uint64_t wrong = 0;
  double seconds = 0, server_s = 0;
};

std::vector<std::string> read_requests(const std::string& map, const char* keys_file) {
  std::vector<std::string> requests;
  std::ifstream file(keys_file);
  for (std::string key; std::getline(file, key);)
    requests.push_back(fmt::format("{}:{} {},", map.size() + 1 + key.size(), map, key));
  if (requests.empty()) give_up(keys_file);
  std::shuffle(requests.begin(), requests.end(), std::mt19937(1));
  return requests;
}

/// CPU time that the process has used, its threads together (proc(5): stat, fields 14 and 15).
double cpu_seconds(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string text;
  std::getline(file, text);
  text.erase(0, text.rfind(')') + 2);
  unsigned long user = 0, system = 0;
  std::sscanf(text.c_str(), "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
  return double(user + system) / double(::sysconf(_SC_CLK_TCK));
}

class Load {
 public:
  Load(const std::string& path, std::size_t connections, std::vector<std::string> requests,
       std::string expected)
      : requests_(std::move(requests)),
        expected_(std::move(expected)),
        epoll_(::epoll_create1(0)),
        connections_(connections) {
    const auto address = address_of(path);
    for (std::size_t place = 0; place < connections; ++place) {
      UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
      if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        give_up(path.c_str());
      watch(epoll_, socket.get(), std::uint32_t(place));
      connections_[place].socket = std::move(socket);
    }
    for (Connection& connection : connections_) ask(connection);
  }

  Figures run(std::chrono::duration<double> time, const std::string& pid) {
    Figures figures;
    const auto begin = Clock::now();
    const double cpu_before = cpu_seconds(pid);
    std::array<epoll_event, 256> events{};
    while (Clock::now() - begin < time) {
      const int count = ::epoll_wait(epoll_.get(), events.data(), int(events.size()), 1000);
      for (int i = 0; i < count; ++i)
        take_answer(connections_[events.at(std::size_t(i)).data.u32], figures);
    }
    figures.server_s = cpu_seconds(pid) - cpu_before;
    figures.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return figures;
  }

 private:
  void ask(Connection& connection) {
    const std::string& request = requests_[next_++ % requests_.size()];
    connection.asked = Clock::now();
    if (::send(connection.socket.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
        ssize_t(request.size()))
      give_up("send");
  }

  void take_answer(Connection& connection, Figures& figures) {
    std::array<char, 4096> bytes{};
    const auto got = ::recv(connection.socket.get(), bytes.data(), bytes.size(), 0);
    if (got <= 0) give_up("the server closed a connection");
    connection.inbox.append(bytes.data(), std::size_t(got));
    if (netstring_size(connection.inbox) == 0) return;
    const std::string_view answer(connection.inbox);
    if (!answer.substr(answer.find(':') + 1).starts_with(expected_)) ++figures.wrong;
    const std::chrono::duration<float, std::micro> latency = Clock::now() - connection.asked;
    figures.latencies_us.push_back(latency.count());
    connection.inbox.clear();
    ask(connection);
  }

  std::vector<std::string> requests_;
  std::string expected_;
  UniqueFd epoll_;
  std::vector<Connection> connections_;
  std::size_t next_ = 0;
};

void print(Figures figures) {
  auto& latencies = figures.latencies_us;
  std::sort(latencies.begin(), latencies.end());
  const auto at = [&](double share) {
    return latencies[std::size_t(share * double(latencies.size() - 1))];
  };
  fmt::print(
      R"({{"rate": {:.0f}, "cpu_us": {:.3f}, "p50_us": {:.0f}, "p99_us": {:.0f}, "wrong": {}}})"
      "\n",
      double(latencies.size()) / figures.seconds, 1e6 * figures.server_s / double(latencies.size()),
      at(0.5), at(0.99), figures.wrong);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) {
    std::fputs("usage: map_load SOCKET MAP KEYS_FILE CONNECTIONS SECONDS SERVER_PID ANSWER\n",
               stderr);
    return 64;
  }
  Load load(argv[1], std::stoul(argv[4]), read_requests(argv[2], argv[3]), argv[7]);
  print(load.run(std::chrono::duration<double>(std::stod(argv[5])), argv[6]));
}
