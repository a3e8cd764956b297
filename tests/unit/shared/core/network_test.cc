// Who is trusted: a wrong "yes" here waives a rule, so whatever is no address is a "no".
#include <string_view>

#include "shared/core/policy.h"
#include "tests/unit/catch.h"

namespace forcetls {

using namespace std::string_view_literals;

TEST_CASE("network: an address, or an address and the length of its prefix", "[core][network]") {
  for (const auto* text : {"192.0.2.1", "192.0.2.0/24", "0.0.0.0/0", "192.0.2.1/32", "10.0.0.0/8",
                           "192.0.2.77/24", "2001:db8::1", "2001:db8::/32", "::/0", "::1/128",
                           "IPv6:2001:db8::/32", "::ffff:192.0.2.1", "fe80::/10"}) {
    INFO(text);
    CHECK(Network::parse(text));
  }
}

TEST_CASE("network: anything else is refused", "[core][network]") {
  for (const auto text : {""sv,
                          "/"sv,
                          "/24"sv,
                          "192.0.2.0/"sv,
                          "192.0.2.0/33"sv,
                          "192.0.2.0/-1"sv,
                          "192.0.2.0/+8"sv,
                          "192.0.2.0/ 8"sv,
                          "192.0.2.0/8 "sv,
                          "192.0.2.0/8x"sv,
                          "192.0.2.0/24/24"sv,
                          "192.0.2.0/99999999999"sv,
                          "192.0.2.0/255.255.255.0"sv,
                          "192.0.2"sv,
                          "192.0.2.256"sv,
                          "192.0.2.1.1"sv,
                          "192.0.2.01"sv,
                          "0x7f.0.0.1"sv,
                          " 192.0.2.1"sv,
                          "192.0.2.1 "sv,
                          "[192.0.2.1]"sv,
                          "192.0.2.1:25"sv,
                          "192.0.2.1\0"sv,
                          "192.0.2.1\0.example"sv,
                          "2001:db8::/129"sv,
                          "2001:db8"sv,
                          ":::"sv,
                          "1::2::3"sv,
                          "[2001:db8::1]"sv,
                          "fe80::1%eth0"sv,
                          "IPv6:"sv,
                          "IPv4:192.0.2.1"sv,
                          "::ffff:192.0.2.0/129"sv,
                          "localhost"sv,
                          "relay.example"sv,
                          "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001"sv}) {
    INFO(text);
    CHECK_FALSE(Network::parse(text));
  }
}

TEST_CASE("network: which client addresses are inside", "[core][network]") {
  struct {
    std::string_view network, address;
    bool want;
  } const rows[] = {
      {"192.0.2.0/24", "192.0.2.0", true},
      {"192.0.2.0/24", "192.0.2.255", true},
      {"192.0.2.77/24", "192.0.2.1", true},
      {"192.0.2.0/24", "::ffff:192.0.2.9", true},       // as an IPv6 socket shows an IPv4 client
      {"192.0.2.0/24", "IPv6:::ffff:192.0.2.9", true},  // as Sendmail writes it
      {"192.0.2.0/24", "::FFFF:c000:209", true},
      {"::ffff:192.0.2.1", "192.0.2.1", true},
      {"172.16.0.0/12", "172.31.255.255", true},
      {"192.0.2.1", "192.0.2.1", true},
      {"192.0.2.128/25", "192.0.2.200", true},
      {"0.0.0.0/0", "203.0.113.9", true},
      {"::1", "::1", true},
      {"::1", "IPv6:::1", true},
      {"2001:db8::/32", "2001:DB8:ffff::1", true},
      {"2001:db8::/32", "ipv6:2001:db8::1", true},
      {"2001:db8::/33", "2001:db8:7fff::1", true},
      {"192.0.2.0/24", "192.0.3.0", false},
      {"192.0.2.0/24", "192.0.1.255", false},
      {"172.16.0.0/12", "172.32.0.0", false},
      {"192.0.2.1", "192.0.2.2", false},
      {"192.0.2.128/25", "192.0.2.127", false},
      {"2001:db8::/33", "2001:db8:8000::1", false},
      {"127.0.0.0/8", "::1", false},
      {"::1", "127.0.0.1", false},
      {"::/0", "192.0.2.1", false},
      {"::/0", "::ffff:192.0.2.1", false},  // an IPv4 client, whatever the socket
      {"0.0.0.0/0", "2001:db8::1", false},
      {"0.0.0.0/0", "", false},
      {"0.0.0.0/0", "unknown", false},  // Postfix: no client address
      {"0.0.0.0/0", "localhost", false},
      {"0.0.0.0/0", "192.0.2.1:25", false},
      {"0.0.0.0/0", "[192.0.2.1]", false},
      {"0.0.0.0/0", "192.0.2.1 ", false},
      {"0.0.0.0/0", "192.0.2.1\0x"sv, false},
      {"::/0", "fe80::1%eth0", false},
      {"::/0", "2001:db8::1::1", false},
      {"::/0", "IPv6:", false},
  };
  for (const auto& [network, address, want] : rows) {
    INFO(address << " in " << network);
    const auto parsed = Network::parse(network);
    REQUIRE(parsed);
    CHECK(parsed->contains(address) == want);
  }
}

TEST_CASE("network: an IPv4 network mapped into IPv6 is that IPv4 network", "[core][network]") {
  const auto all = Network::parse("::ffff:0:0/96");
  REQUIRE(all);
  CHECK(all->contains("203.0.113.9"));
  CHECK_FALSE(all->contains("2001:db8::1"));
  const auto some = Network::parse("::ffff:192.0.2.0/120");
  REQUIRE(some);
  CHECK(some->contains("192.0.2.77"));
  CHECK(some->contains("::ffff:192.0.2.77"));
  CHECK_FALSE(some->contains("192.0.3.77"));
  const auto wide = Network::parse("::ffff:192.0.2.0/64");  // spans ::/64, and no IPv4
  REQUIRE(wide);
  CHECK(wide->contains("::1"));
  CHECK_FALSE(wide->contains("192.0.2.77"));
  CHECK_FALSE(Network::parse("192.0.2.0/120"));
}

}  // namespace forcetls
