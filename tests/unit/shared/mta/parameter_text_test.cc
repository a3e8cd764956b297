#include "shared/mta/parameter_text.h"

#include <map>

#include "tests/unit/catch.h"

using namespace forcetls;

namespace {

const std::map<std::string, std::string, std::less<>> kParameters{
    {"myhostname", "mail.ours.example"}, {"empty", ""},           {"level", "3.6"},
    {"names_itself", "a$names_itself"},  {"indirect", "$level!"}, {"other", "${indirect}"}};

std::string expanded(std::string_view text) {
  return expand(text, [](std::string_view name) -> std::optional<std::string_view> {
    const auto found = kParameters.find(name);
    if (found == kParameters.end()) return std::nullopt;
    return found->second;
  });
}

}  // namespace

TEST_CASE("expand: as postconf(5) says", "[mta][postconf]") {
  const struct {
    const char *text, *want;
  } rows[] = {
      {"", ""},
      {"plain", "plain"},
      {"$myhostname", "mail.ours.example"},
      {"a$myhostname, b", "amail.ours.example, b"},
      {"${myhostname}x", "mail.ours.examplex"},
      {"$(myhostname)x", "mail.ours.examplex"},
      {"$other", "3.6!"},
      {"$undefined-", "-"},
      {"$$myhostname", "$myhostname"},
      {"$", "$"},
      {"100$ ", "100$ "},
      {"${myhostname", "${myhostname"},
      {"${myhostname?yes}", "yes"},
      {"${empty?yes}", ""},
      {"${undefined?yes}", ""},
      {"${empty:no}", "no"},
      {"${myhostname:no}", ""},
      {"${myhostname?{yes}:{no}}", "yes"},
      {"${empty?{yes}:{no $level}}", "no 3.6"},
      {"${undefined?{$undefined}:{postfix}}", "postfix"},
      {"${empty?{a}:{${level?{b}:{c}}}}", "b"},
      {"${{$level} <level {3.6} ? {md5} : {sha256}}", "sha256"},
      {"${{3.5} <level {3.6} ? {md5} : {sha256}}", "md5"},
      {"${{3.10} <level {3.6} ? {md5} : {sha256}}", "sha256"},
      {"${{$level} == {3.6} ? {same}}", "same"},
      {"${{a} != {b} ? {x} : {y}}", "x"},
      {"${{9} < {10} ? {x} : {y}}", "x"},
      {"${{b} <= {a} ? {x} : {y}}", "y"},
      {"${{2} >= {2} ? {x} : {y}}", "x"},
      {"${{2} > {2} ? {x} : {y}}", "y"},
      {"${rest?; $rest}", ""},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    CHECK(expanded(row.text) == row.want);
  }
}

TEST_CASE("expand: a value that names itself comes to an end", "[mta][postconf]") {
  CHECK(expanded("$names_itself") == "a");
  // Each level would double it: a million times at the deepest.
  const auto doubling = [](std::string_view) { return std::string_view("b$x$x"); };
  CHECK(expand("$x", doubling) == "b");
}

TEST_CASE("split_list: commas and blanks separate, braces keep together", "[mta][postconf]") {
  const struct {
    const char* text;
    std::vector<std::string> want;
  } rows[] = {
      {"", {}},
      {" , ,\t", {}},
      {"a", {"a"}},
      {"a, b c,d", {"a", "b", "c", "d"}},
      {"{ unix:a, timeout=1 } b", {"{ unix:a, timeout=1 }", "b"}},
      {"inline:{ {a=b}, {c = d} },hash:/x", {"inline:{ {a=b}, {c = d} }", "hash:/x"}},
      {"a} b", {"a}", "b"}},
      {"{a b", {"{a b"}},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    CHECK(split_list(row.text) == row.want);
  }
}

TEST_CASE("patterns_in: each line is a list, # begins a comment", "[mta][postconf]") {
  using List = std::vector<std::string>;
  CHECK(patterns_in("").empty());
  CHECK(patterns_in("# a\n  # b, c\n\n").empty());
  CHECK(patterns_in("a, b c\n#d\ne # f g\nh") == List{"a", "b", "c", "e", "h"});
}

TEST_CASE("inside_braces: the elements, or the text itself", "[mta][postconf]") {
  CHECK(inside_braces("{ unix:a, t=1, { d = 4 5 } }") ==
        std::vector<std::string>{"unix:a", "t=1", "{ d = 4 5 }"});
  CHECK(inside_braces(" unix:a ") == std::vector<std::string>{"unix:a"});
  CHECK(inside_braces("{unix:a") == std::vector<std::string>{"{unix:a"});
}
