#include "policyd/socketmap.h"

#include "tests/unit/catch.h"

using namespace forcetls;
using namespace std::string_literals;

TEST_CASE("parse_map_request: a whole request gives map, key and length", "[policyd][socketmap]") {
  const auto request = parse_map_request("16:tls bank.example,7:tls x.y,");
  REQUIRE(request);
  CHECK(request->map == "tls");
  CHECK(request->key == "bank.example");
  CHECK(request->wire_bytes == 20);
}

TEST_CASE("parse_map_request: the key is all that follows the first blank",
          "[policyd][socketmap]") {
  struct Row {
    std::string bytes;
    std::string key;
  };
  for (const Row& row : {Row{"4:tls ,", ""}, Row{"7:tls a b,", "a b"}, Row{"6:tls  x,", " x"},
                         Row{"7:tls a\0b,"s, "a\0b"s}, Row{"6:tls ,,,", ",,"}}) {
    CAPTURE(row.bytes);
    const auto request = parse_map_request(row.bytes);
    REQUIRE(request);
    CHECK(request->key == row.key);
  }
}

TEST_CASE("parse_map_request: what is no request gives the error that says what to do",
          "[policyd][socketmap]") {
  struct Row {
    const char* what;
    std::string bytes;
    ErrorCode want;
  };
  const Row rows[] = {
      {"nothing yet", "", ErrorCode::Incomplete},
      {"length not finished", "1", ErrorCode::Incomplete},
      {"body not finished", "16:tls bank", ErrorCode::Incomplete},
      {"comma still to come", "5:tls x", ErrorCode::Incomplete},
      {"no length", ":tls x,", ErrorCode::Malformed},
      {"a word", "hello", ErrorCode::Malformed},
      {"negative", "-5:tls x,", ErrorCode::Malformed},
      {"blank before the length", " 5:tls x,", ErrorCode::Malformed},
      {"hexadecimal", "0x5:tls x,", ErrorCode::Malformed},
      {"wrong final byte", "5:tls x;", ErrorCode::Malformed},
      {"no blank", "3:tls,", ErrorCode::Malformed},
      {"empty netstring", "0:,", ErrorCode::Malformed},
      {"an HTTP request", "GET / HTTP/1.1\r\n", ErrorCode::Malformed},
      {"one byte too long", "16385:", ErrorCode::TooLong},
      {"length that overflows", "99999999999999999999:", ErrorCode::TooLong},
      {"endless zeros", "000000000000", ErrorCode::TooLong},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto request = parse_map_request(row.bytes);
    REQUIRE_FALSE(request);
    CHECK(request.error().code == row.want);
  }
}

TEST_CASE("parse_map_request: the longest request is taken", "[policyd][socketmap]") {
  const std::string key(kMaxMapRequestBytes - 4, 'x');
  const std::string bytes = std::to_string(kMaxMapRequestBytes) + ":tls " + key + ",";
  const auto request = parse_map_request(bytes);
  REQUIRE(request);
  CHECK(request->key == key);
}

TEST_CASE("append_netstring: counts bytes", "[policyd][socketmap]") {
  std::string out = "x";
  append_netstring(out, "NOTFOUND ");
  CHECK(out == "x9:NOTFOUND ,");
}
