// Settings: every one is a row from the start, with a default that the programs read.
#include "shared/core/policy.h"
#include "tests/unit/catch.h"
#include "tests/unit/schema/policy_database.h"

using namespace forcetls;

namespace {

struct Value {
  std::string name;
  std::string literal;
  std::string want;  ///< a part of the sentence; unused for good ones
};

std::string update(const Value& row) {
  return "UPDATE setting SET value = " + row.literal + " WHERE name = '" + row.name + "'";
}

}  // namespace

TEST_CASE("setting: the defaults are those of the design and the programs take them", "[schema]") {
  PolicyDatabase policy;
  CHECK(policy.rows("SELECT name, value FROM setting WHERE description <> ''", 2) ==
        std::vector<std::string>{
            "clear_submission|tempfail",
            "default_outbound|unset",
            "early_tempfail|on",
            "enforcing_transports|smtp relay forcetls esmtp",
            "floor_ciphers|",
            "floor_exclude|",
            "floor_min_protocol|",
            "forward_level|may",
            "own_domains|",
            "tls_required_header|auto",
            "trusted_clients|127.0.0.0/8 ::1/128 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7",
            "unlisted_relay|unset",
        });
  Settings settings;
  auto query = Statement::prepare(policy.get(), sql::kLoadSetting).value();
  while (query.step().value())
    CHECK(settings.set(std::string(query.column_text(0)), query.column_text(1)));
}

TEST_CASE("setting: a bad value is refused with what to write instead", "[schema]") {
  const auto row = GENERATE_REF(values<Value>({
      {"default_outbound", "'secure'", "default_outbound must be unset, encrypt or learn"},
      {"default_outbound", "'Encrypt'", "default_outbound must be"},
      {"default_outbound", "''", "default_outbound must be"},
      {"default_outbound", "NULL", "value is missing"},
      {"unlisted_relay", "'learn'", "unlisted_relay must be"},
      {"clear_submission", "'reject'", "clear_submission must be"},
      {"tls_required_header", "'on'", "tls_required_header must be"},
      {"early_tempfail", "'1'", "early_tempfail must be"},
      {"forward_level", "'secure'", "forward_level must be"},
      {"floor_exclude", "'3DES aNULL'", "floor_exclude must be"},
      {"floor_exclude", "'3DES,aNULL'", "floor_exclude must be"},
      {"floor_exclude", "':'", "floor_exclude must be"},
      {"floor_exclude", "'3DES:'", "floor_exclude must be"},
      {"floor_exclude", "':3DES'", "floor_exclude must be"},
      {"floor_exclude", "'3DES::RC4'", "floor_exclude must be"},
      {"floor_exclude", "'-3DES'", "floor_exclude must be"},
      {"floor_exclude", "'RC4:+3DES'", "floor_exclude must be"},
      {"floor_exclude", "'!RC4'", "floor_exclude must be"},
      {"floor_exclude", "'RC4' || char(0)", "floor_exclude must be"},
      {"floor_exclude", "printf('%.*c', 1001, 'x')", "1000 characters at most"},
      {"floor_exclude", "NULL", "value is missing"},
      {"floor_min_protocol", "'SSLv3'", "floor_min_protocol must be"},
      {"floor_min_protocol", "'TLSv1.0'", "floor_min_protocol must be"},
      {"floor_min_protocol", "'>=TLSv1.2'", "floor_min_protocol must be"},
      {"floor_min_protocol", "'tlsv1.2'", "floor_min_protocol must be"},
      {"floor_ciphers", "'low'", "floor_ciphers must be"},
      {"floor_ciphers", "'High'", "floor_ciphers must be"},
      {"trusted_clients", "'10.0.0.0/8,192.168.0.0/16'", "separated by one blank"},
      {"trusted_clients", "'10.0.0.0/8  ::1'", "one blank each"},
      {"trusted_clients", "' 10.0.0.0/8'", "one blank each"},
      {"trusted_clients", "'10.0.0.0/8 '", "one blank each"},
      {"trusted_clients", "'10.0.0.0/8' || char(10) || '::1'", "separated by one blank"},
      {"trusted_clients", "'::1' || char(0)", "separated by one blank"},
      {"trusted_clients", "'localhost'", "addresses and networks only"},
      {"trusted_clients", "'10.0.0.0/33'", "bad IPv4 network"},
      {"trusted_clients", "'0.0.0.0/0'", "bad IPv4 network"},
      {"trusted_clients", "'10.0.0.0/'", "bad IPv4 network"},
      {"trusted_clients", "'10.0.0.0/8/8'", "bad IPv4 network"},
      {"trusted_clients", "'10/8'", "bad IPv4 network"},
      {"trusted_clients", "'10.0.0.256'", "of at most 255"},
      {"trusted_clients", "'10.0.0.01'", "bad IPv4 network"},
      {"trusted_clients", "'1e1.0.0.1'", "bad IPv4 network"},
      {"trusted_clients", "'::1/129'", "bad IPv6 network"},
      {"trusted_clients", "'::/0'", "bad IPv6 network"},
      {"trusted_clients", "'fd00::1::2'", "bad IPv6 network"},
      {"trusted_clients", "'[::1]'", "addresses and networks only"},
      {"own_domains", "'Example.com'", "own_domains takes"},
      {"own_domains", "'example.com, example.org'", "own_domains takes"},
      {"own_domains", "'example.com.'", "no domain"},
      {"own_domains", "'example.com -x.example'", "no domain"},
      {"own_domains", "'.'", "no domain"},
      {"own_domains", "'192.0.2.1'", "no domain"},
      {"own_domains", "'a@example.com'", "own_domains takes"},
      {"enforcing_transports", "''", "empty"},
      {"enforcing_transports", "'smtp:'", "service names"},
      {"enforcing_transports", "'smtp,relay'", "service names"},
  }));
  PolicyDatabase policy;
  const std::string before = policy.content();
  for (const auto& variant : conflict_variants(update(row))) {
    INFO(variant);
    CHECK_THAT(policy.sentence(variant), ContainsSubstring(row.want));
    CHECK(policy.content() == before);
  }
}

TEST_CASE("setting: what the schema takes, the programs take", "[schema]") {
  const auto row = GENERATE_REF(values<Value>({
      {"default_outbound", "'learn'", ""},
      {"unlisted_relay", "'encrypt'", ""},
      {"clear_submission", "'accept'", ""},
      {"tls_required_header", "'ignore'", ""},
      {"floor_exclude", "''", ""},
      {"floor_exclude", "'3DES:aNULL:kRSA+AES:ECDHE-RSA-AES128-SHA'", ""},
      {"floor_exclude", "printf('%.*c', 1000, 'x')", ""},
      {"floor_min_protocol", "'TLSv1'", ""},
      {"floor_min_protocol", "'TLSv1.3'", ""},
      {"floor_min_protocol", "''", ""},
      {"floor_ciphers", "'high'", ""},
      {"floor_ciphers", "''", ""},
      {"trusted_clients", "''", ""},
      {"trusted_clients", "'192.0.2.1'", ""},
      {"trusted_clients", "'192.0.2.1/32 ::1 2001:db8:0:1:2:3:4:5/64 fe80::/10 1::'", ""},
      {"own_domains", "'example.com'", ""},
      {"own_domains", "'example.com .example.com xn--bnk-qla.example'", ""},
      {"enforcing_transports", "'smtp relay-tls my_smtp'", ""},
  }));
  INFO(update(row));
  PolicyDatabase policy;
  CHECK(policy.sentence(update(row)).empty());
  Settings settings;
  CHECK(settings.set(row.name,
                     policy.value("SELECT value FROM setting WHERE name = '" + row.name + "'")));
}

TEST_CASE("setting: rows are neither added nor removed, names and descriptions are fixed",
          "[schema]") {
  struct Row {
    const char* sql;
    const char* want;
  };
  const auto row = GENERATE(values<Row>({
      {"INSERT INTO setting VALUES ('default_inbound', 'x', 'y')", "no such setting"},
      {"INSERT INTO setting(name, value) VALUES ('default_outbound', 'encrypt')",
       "write UPDATE setting"},
      {"INSERT INTO setting VALUES ('default_outbound', 'encrypt', '') ON CONFLICT(name) DO UPDATE "
       "SET value = 'encrypt'",
       "write UPDATE setting"},
      {"DELETE FROM setting", "cannot be deleted"},
      {"UPDATE setting SET name = 'unlisted_relay' WHERE name = 'default_outbound'", "is fixed"},
      {"UPDATE setting SET name = 'x' WHERE name = 'default_outbound'", "is fixed"},
      {"UPDATE setting SET description = 'x'", "description of a setting is fixed"},
  }));
  PolicyDatabase policy;
  const std::string before = policy.content();
  for (const auto& variant : conflict_variants(row.sql)) {
    INFO(variant);
    CHECK_THAT(policy.sentence(variant), ContainsSubstring(row.want));
    CHECK(policy.content() == before);
  }
}
