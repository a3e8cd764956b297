#include "shared/mta/attribute_protocol.h"

#include "tests/unit/catch.h"

using namespace forcetls;
using namespace std::string_view_literals;

TEST_CASE("attributes: as attr_print0 writes them", "[mta][attributes]") {
  CHECK(to_attribute_bytes({{"request", "resolve"}, {"sender", ""}}) ==
        "request\0resolve\0sender\0\0\0"sv);
  CHECK(to_attribute_bytes({}) == "\0"sv);
}

TEST_CASE("attributes: messages are taken one by one", "[mta][attributes]") {
  std::string_view bytes = "protocol\0rewrite\0\0flags\0000\0flags\00012\0\0rest"sv;
  auto message = take_attributes(bytes);
  REQUIRE(message);
  CHECK(attribute(*message, "protocol") == "rewrite");
  message = take_attributes(bytes);
  REQUIRE(message);
  CHECK(attribute(*message, "flags") == "12");
  CHECK(attribute(*message, "transport").empty());
  CHECK(bytes == "rest");
}

TEST_CASE("attributes: without an end nothing is taken", "[mta][attributes]") {
  for (const std::string_view bytes : {""sv, "a"sv, "a\0"sv, "a\0b"sv, "a\0b\0"sv, "a\0b\0c\0"sv}) {
    std::string_view rest = bytes;
    const auto message = take_attributes(rest);
    REQUIRE_FALSE(message);
    CHECK(message.error().code == ErrorCode::Incomplete);
    CHECK(rest == bytes);
  }
}
