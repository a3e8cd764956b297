// Rows of domain_policy that an administrator may type by mistake, and good ones that look odd.
#include "tests/unit/catch.h"
#include "tests/unit/schema/policy_database.h"

using namespace forcetls;

namespace {

const std::string kDigest =
    "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:"
    "99";

std::string quoted(std::string text) {
  for (std::size_t at = 0; (at = text.find('\'', at)) != text.npos; at += 2) text.insert(at, "'");
  return "'" + text + "'";
}

struct BadKey {
  std::string what;
  std::string literal;
  std::string want;
};

/// Columns and values that go with the key bank.example.
struct Values {
  std::string what;
  std::string columns;
  std::string values;
  std::string want;  ///< a part of the sentence; unused for good ones
};

void check_refused(PolicyDatabase& policy, const std::string& what, const std::string& sql,
                   const std::string& want) {
  const std::string before = policy.content();
  for (const auto& variant : conflict_variants(sql)) {
    INFO(what << ": " << variant);
    const std::string sentence = policy.sentence(variant);
    CHECK_THAT(sentence, ContainsSubstring(want));
    CHECK(sentence.find("constraint failed") == sentence.npos);
    CHECK(sentence.find('\n') == sentence.npos);
    CHECK(policy.content() == before);
  }
}

}  // namespace

TEST_CASE("domain_policy: a bad key is refused with what to write instead", "[schema]") {
  const std::string label64(64, 'a');
  const std::string name254 = std::string(63, 'a') + "." + std::string(63, 'b') + "." +
                              std::string(63, 'c') + "." + std::string(62, 'd');
  const auto row = GENERATE_REF(values<BadKey>({
      {"nothing", "NULL", "domain is missing"},
      {"empty", "''", "domain is missing"},
      {"upper case", "'Bank.example'", "not in lower case"},
      {"all upper case", "'BANK.EXAMPLE'", "not in lower case"},
      {"trailing dot", "'bank.example.'", "trailing dot"},
      {"trailing dot in brackets", "'[mx.bank.example.]'", "trailing dot"},
      {"blank inside", "'bank example'", "blank"},
      {"leading blank", "' bank.example'", "blank"},
      {"trailing blank", "'bank.example '", "blank"},
      {"two domains", "'bank.example, other.example'", "blank"},
      {"two domains, no blank", "'bank.example,other.example'", "one row per domain"},
      {"tab", "'bank.example' || char(9)", "control character"},
      {"newline", "'bank.example' || char(10)", "control character"},
      {"DEL", "'bank.example' || char(127)", "control character"},
      {"NUL", "'bank.example' || char(0)", "control character"},
      {"NUL and more", "'bank.example' || char(0) || 'x'", "control character"},
      {"URL", "'http://bank.example/'", "URL"},
      {"https", "'https://bank.example'", "URL"},
      {"address", "'user@bank.example'", "follows the @"},
      {"only the @", "'@bank.example'", "follows the @"},
      {"U-label", "'b\u00e4nk.example'", "A-labels"},
      {"U-label, dot", "'bank\u3002example'", "A-labels"},
      {"wildcard", "'*.bank.example'", "write .bank.example"},
      {"path", "'private/dovecot'", "character that no domain name has"},
      {"injected attribute", "'bank.example=may'", "character that no domain name has"},
      {"quote", "'bank''.example'", "character that no domain name has"},
      {"two dots", "'bank..example'", "empty label"},
      {"two leading dots", "'..bank.example'", "empty label"},
      {"only a dot", "'.'", "no name"},
      {"leading hyphen", "'-bank.example'", "hyphen"},
      {"trailing hyphen", "'bank-.example'", "hyphen"},
      {"trailing hyphen at the end", "'bank.example-'", "hyphen"},
      {"long label", quoted(label64 + ".example"), "63 characters"},
      {"long name", quoted(name254), "too long"},
      {"long next hop", quoted("[" + name254.substr(0, 250) + "]:587"), "too long"},
      {"bare IPv4", "'192.0.2.1'", "[192.0.2.1]"},
      {"bare IPv4 with port", "'192.0.2.1:25'", "[192.0.2.1]"},
      {"number", "12345", "[192.0.2.1]"},
      {"bare IPv6", "'2001:db8::1'", "[ipv6:2001:db8::1]"},
      {"bad IPv4", "'[192.0.2.256]'", "of at most 255"},
      {"leading zero in IPv4", "'[192.0.2.01]'", "no IPv4 address"},
      {"three numbers", "'[192.0.2]'", "no IPv4 address"},
      {"five numbers", "'[192.0.2.1.1]'", "no IPv4 address"},
      {"bad IPv6", "'[ipv6:2001:db8::1::2]'", "no IPv6 address"},
      {"short IPv6", "'[2001:db8:1]'", "no IPv6 address"},
      {"name as IPv6", "'[ipv6:bank.example]'", "no IPv6 address"},
      {"IPv6 prefix", "'[2001:db8::/32]'", "character that no domain name has"},
      {"unclosed bracket", "'[mx.bank.example'", "misplaced brackets"},
      {"unopened bracket", "'mx.bank.example]'", "misplaced brackets"},
      {"bracket inside", "'mx.[bank].example'", "misplaced brackets"},
      {"nested brackets", "'[[mx.bank.example]]'", "misplaced brackets"},
      {"empty brackets", "'[]'", "misplaced brackets"},
      {"text after the bracket", "'[mx.bank.example]587'", "misplaced brackets"},
      {"parent in brackets", "'[.bank.example]'", "empty label"},
      {"port 0", "'[mx.bank.example]:0'", "bad port"},
      {"port too high", "'[mx.bank.example]:65536'", "bad port"},
      {"port with zero in front", "'mx.bank.example:025'", "bad port"},
      {"port name", "'[mx.bank.example]:submission'", "bad port"},
      {"no port", "'[mx.bank.example]:'", "bad port"},
      {"no port without brackets", "'mx.bank.example:'", "bad port"},
      {"only a port", "':587'", "no name"},
      {"port of a parent", "'.bank.example:587'", "cannot follow"},
  }));
  PolicyDatabase policy;
  policy.must("INSERT INTO domain_policy(domain) VALUES ('other.example')");
  check_refused(policy, row.what, "INSERT INTO domain_policy(domain) VALUES (" + row.literal + ")",
                row.want);
  check_refused(policy, row.what, "UPDATE domain_policy SET domain = " + row.literal, row.want);
}

TEST_CASE("domain_policy: good keys", "[schema]") {
  PolicyDatabase policy;
  const std::string label63(63, 'a');
  for (const std::string& key : std::vector<std::string>{"bank.example",
                                                         ".bank.example",
                                                         "example",
                                                         ".example",
                                                         "xn--bnk-qla.example",
                                                         "a-b.c--d.example",
                                                         "_smtp.bank.example",
                                                         "1und1.example",
                                                         "3.example",
                                                         "[mx.bank.example]",
                                                         "[relay.example]:587",
                                                         "relay.example:587",
                                                         "relay.example:65535",
                                                         "[192.0.2.1]",
                                                         "[192.0.2.1]:25",
                                                         "[255.255.255.255]",
                                                         "[ipv6:2001:db8::1]",
                                                         "[ipv6:2001:db8::1]:25",
                                                         "[2001:db8:0:1:2:3:4:5]",
                                                         "[ipv6:::1]",
                                                         "[ipv6:fe80::]",
                                                         label63 + ".example"}) {
    INFO(key);
    CHECK(policy.sentence("INSERT INTO domain_policy(domain) VALUES ('" + key + "')").empty());
    CHECK(policy.value("SELECT count(*) FROM domain_policy WHERE domain = '" + key + "'") == "1");
  }
}

TEST_CASE("domain_policy: bad values are refused with what to write instead", "[schema]") {
  const std::string sha1 = kDigest.substr(0, 59);
  const auto row = GENERATE_REF(values<Values>({
      {"unknown mode", "mode", "'on'", "mode must be"},
      {"mode in upper case", "mode", "'Enforce'", "mode must be"},
      {"no mode", "mode", "NULL", "mode must be"},
      {"unknown level", "outbound", "'strict'", "outbound must be"},
      {"level in upper case", "outbound", "'Secure'", "outbound must be"},
      {"level with underscore", "outbound", "'dane_only'", "outbound must be"},
      {"level with a blank", "outbound", "'secure '", "outbound must be"},
      {"two levels", "outbound", "'may encrypt'", "outbound must be"},
      {"no level", "outbound", "NULL", "outbound must be"},
      {"level as blob", "outbound", "x'6d6179'", "column domain_policy.outbound"},
      {"protocol of OpenSSL", "min_protocol", "'TLSv1_2'", "min_protocol must be"},
      {"protocol number", "min_protocol", "1.2", "min_protocol must be"},
      {"protocol in capitals", "min_protocol", "'TLSV1.2'", "min_protocol must be"},
      {"SSLv3", "min_protocol", "'SSLv3'", "min_protocol must be"},
      {"unknown grade", "ciphers", "'strong'", "ciphers must be"},
      {"grade low", "ciphers", "'low'", "ciphers must be"},
      {"unknown inbound", "inbound", "'secure'", "inbound must be"},
      {"no inbound", "inbound", "NULL", "inbound must be"},
      {"min_bits 112", "min_bits", "112", "min_bits must be"},
      {"min_bits as a word", "min_bits", "'high'", "INTEGER column domain_policy.min_bits"},
      {"unknown on_failure", "on_failure", "'bounce'", "on_failure must be"},
      {"match at encrypt", "outbound, match", "'encrypt', 'a.example'", "match is only for"},
      {"match at the default level", "match", "'a.example'", "match is only for"},
      {"match at may", "outbound, match", "'may', 'a.example'", "match is only for"},
      {"match at dane-only", "outbound, match", "'dane-only', 'a.example'", "match is only for"},
      {"empty match", "outbound, match", "'secure', ''", "empty: write NULL"},
      {"match with blank", "outbound, match", "'secure', 'a.example b.example'", "no blanks"},
      {"match with comma", "outbound, match", "'secure', 'a.example,b.example'", "no blanks"},
      {"match with an attribute", "outbound, match", "'secure', 'a.example protocols=TLSv1'",
       "no blanks"},
      {"match with =", "outbound, match", "'secure', 'match=a.example'", "character"},
      {"match with newline", "outbound, match", "'secure', 'a.example' || char(10)", "character"},
      {"match with NUL", "outbound, match", "'secure', 'a.example' || char(0)", "character"},
      {"match with U-label", "outbound, match", "'secure', 'b\u00e4nk.example'", "A-labels"},
      {"match with wildcard", "outbound, match", "'verify', '*.bank.example'", ".bank.example"},
      {"match in upper case", "outbound, match", "'secure', 'MX.bank.example'", "lower case"},
      {"match with IP address", "outbound, match", "'secure', '192.0.2.1'", "no IP addresses"},
      {"match with IP address behind", "outbound, match", "'secure', 'a.example:192.0.2.1'",
       "no IP addresses"},
      {"match with trailing dot", "outbound, match", "'secure', 'a.example.:b.example'",
       "trailing dot"},
      {"match with empty name", "outbound, match", "'secure', 'a.example::b.example'",
       "empty name"},
      {"match ending in :", "outbound, match", "'secure', 'a.example:'", "empty name"},
      {"match with |", "outbound, match", "'secure', 'a.example|b.example'", "separate names by :"},
      {"match with hyphen", "outbound, match", "'secure', '-a.example'", "no domain name"},
      {"match with two dots", "outbound, match", "'secure', 'a..example'", "no domain name"},
      {"long match", "outbound, match", "'secure', hex(zeroblob(501))", "too long"},
      {"digest at secure", "outbound, match", "'secure', " + quoted(kDigest), "need outbound"},
      {"fingerprint without digests", "outbound", "'fingerprint'", "match is missing"},
      {"fingerprint with a name", "outbound, match", "'fingerprint', 'mx.bank.example'",
       "SHA-256 digests"},
      {"SHA-1 digest", "outbound, match", "'fingerprint', " + quoted(sha1), "MD5 or SHA-1"},
      {"digest without colons", "outbound, match", "'fingerprint', hex(zeroblob(32))",
       "SHA-256 digests"},
      {"digest with prefix", "outbound, match", "'fingerprint', " + quoted("sha256=" + kDigest),
       "character"},
      {"digests separated by :", "outbound, match",
       "'fingerprint', " + quoted(kDigest + ":" + kDigest), "SHA-256 digests"},
      {"digest and |", "outbound, match", "'fingerprint', " + quoted(kDigest + "|"),
       "SHA-256 digests"},
      {"digest with a letter g", "outbound, match",
       "'fingerprint', " + quoted("G" + kDigest.substr(1)), "SHA-256 digests"},
      {"exclude with blank", "exclude", "'3DES aNULL'", "separated by :"},
      {"exclude with comma", "exclude", "'3DES,aNULL'", "separated by :"},
      {"exclude with =", "exclude", "'3DES=1'", "separated by :"},
      {"exclude with !", "exclude", "'!3DES'", "separated by :"},
      {"exclude with +", "exclude", "'+3DES'", "separated by :"},
      {"exclude with NUL", "exclude", "'3DES' || char(0)", "separated by :"},
      {"empty exclude", "exclude", "''", "separated by :"},
      {"relative tafile", "outbound, tafile", "'secure', 'bank.pem'", "absolute path"},
      {"tafile with blank", "outbound, tafile", "'secure', '/etc/my bank.pem'", "absolute path"},
      {"tafile with =", "outbound, tafile", "'secure', '/etc/a=b.pem'", "absolute path"},
      {"tafile with NUL", "outbound, tafile", "'secure', '/etc/a' || char(0)", "absolute path"},
      {"tafile with ..", "outbound, tafile", "'secure', '/etc/../root/a.pem'", "absolute path"},
      {"tafile is a folder", "outbound, tafile", "'secure', '/etc/bank/'", "absolute path"},
      {"empty tafile", "outbound, tafile", "'secure', ''", "absolute path"},
      {"tafile at encrypt", "tafile", "'/etc/bank.pem'", "tafile is only for"},
      {"tafile at may", "outbound, tafile", "'may', '/etc/bank.pem'", "tafile is only for"},
      {"tafile at fingerprint", "outbound, match, tafile",
       "'fingerprint', " + quoted(kDigest) + ", '/etc/bank.pem'", "tafile is only for"},
      {"verify without inbound_match", "inbound", "'verify'", "inbound_match is missing"},
      {"inbound_match at may", "inbound_match", "'a.example'", "inbound_match is only for"},
      {"inbound_match at encrypt", "inbound, inbound_match", "'encrypt', 'a.example'",
       "inbound_match is only for"},
      {"inbound_match with blank", "inbound, inbound_match", "'verify', 'a.example b.example'",
       "no blanks"},
      {"inbound_match with short digest", "inbound, inbound_match", "'verify', " + quoted(sha1),
       "MD5 or SHA-1"},
      {"inbound_match as Postfix's word", "inbound, inbound_match", "'verify', 'nexthop'",
       "no meaning"},
      {"reroute without fallback", "on_failure", "'reroute'", "fallback is missing"},
      {"fallback without reroute", "fallback", "'smtp:[gw.example]'", "fallback is only for"},
      {"fallback with reject", "on_failure, fallback", "'reject', 'smtp:[gw.example]'",
       "fallback is only for"},
      {"fallback without transport", "on_failure, fallback", "'reroute', '[gw.example]'",
       "fallback must be"},
      {"fallback without next hop", "on_failure, fallback", "'reroute', 'smtp:'",
       "fallback must be"},
      {"fallback with blank", "on_failure, fallback", "'reroute', 'smtp: [gw.example]'",
       "fallback must be"},
      {"fallback with NUL", "on_failure, fallback", "'reroute', 'smtp:a' || char(0)",
       "fallback must be"},
      {"fallback without closing bracket", "on_failure, fallback", "'reroute', 'smtp:[gw.example'",
       "bad next hop"},
      {"fallback with bad port", "on_failure, fallback", "'reroute', 'smtp:[gw.example]:smtp'",
       "bad next hop"},
      {"fallback without port", "on_failure, fallback", "'reroute', 'smtp:gw.example:x'",
       "bad next hop"},
      {"fallback that loses mail", "on_failure, fallback", "'reroute', 'discard:gw.example'",
       "needs a transport"},
      {"fallback to itself", "on_failure, fallback", "'reroute', 'smtp:bank.example'",
       "leads back"},
      {"note with NUL", "note", "'a' || char(0)", "NUL character"},
  }));
  PolicyDatabase policy;
  check_refused(policy, row.what,
                "INSERT INTO domain_policy(domain, " + row.columns + ") VALUES ('bank.example', " +
                    row.values + ")",
                row.want);
  policy.must("INSERT INTO domain_policy(domain) VALUES ('bank.example')");
  check_refused(policy, row.what,
                "UPDATE domain_policy SET (" + row.columns + ") = (" + row.values + ")", row.want);
}

TEST_CASE("domain_policy: good rows", "[schema]") {
  const auto row = GENERATE_REF(values<Values>({
      {"secure", "outbound", "'secure'", ""},
      {"dane-only", "outbound", "'dane-only'", ""},
      {"none", "outbound", "'none'", ""},
      {"names", "outbound, match", "'secure', 'mx.bank.example:.hoster.example'", ""},
      {"Postfix's words", "outbound, match", "'secure', 'nexthop:dot-nexthop'", ""},
      {"digest", "outbound, match", "'fingerprint', " + quoted(kDigest), ""},
      {"digests", "outbound, match",
       "'fingerprint', " + quoted(kDigest + "|" + kDigest + "|" + kDigest), ""},
      {"digest in lower case", "outbound, match", "'fingerprint', lower(" + quoted(kDigest) + ")",
       ""},
      {"TLS 1.3", "min_protocol", "'TLSv1.3'", ""},
      {"TLS 1.0", "min_protocol, ciphers", "'TLSv1', 'medium'", ""},
      {"exclude", "exclude", "'3DES:kEDH+aRSA:AES128-SHA'", ""},
      {"trust anchor", "outbound, tafile", "'verify', '/etc/forcetls/bank_2027.pem'", ""},
      {"inbound names", "inbound, inbound_match", "'verify', 'mail.bank.example'", ""},
      {"inbound digests", "inbound, inbound_match", "'verify', " + quoted(kDigest), ""},
      {"bits", "inbound, min_bits", "'encrypt', 256", ""},
      {"bits as text", "min_bits", "'128'", ""},
      {"reroute", "on_failure, fallback", "'reroute', 'smtp:[gw.example]:587'", ""},
      {"reroute without brackets", "on_failure, fallback", "'reroute', 'relay:gw.example'", ""},
      {"reroute to an address", "on_failure, fallback", "'reroute', 'smtp:[2001:db8::1]:25'", ""},
      {"texts", "contact, reference, note", "'A. B\u00e4nker', 'T-1', 'two' || char(10) || 'lines'",
       ""},
  }));
  INFO(row.what);
  PolicyDatabase policy;
  CHECK(policy.sentence("INSERT INTO domain_policy(domain, " + row.columns +
                        ") VALUES ('bank.example', " + row.values + ")") == "");
  policy.must("DELETE FROM domain_policy; INSERT INTO domain_policy(domain) VALUES ('b.example')");
  CHECK(policy.sentence("UPDATE domain_policy SET (" + row.columns + ") = (" + row.values + ")") ==
        "");
}

TEST_CASE("domain_policy: the defaults are those of the design", "[schema]") {
  PolicyDatabase policy;
  policy.must("INSERT INTO domain_policy(domain) VALUES ('bank.example')");
  CHECK(policy.rows("SELECT * FROM domain_policy", 16).at(0) ==
        "bank.example|enforce|encrypt|-|TLSv1.2|high|-|-|may|-|-|tempfail|-|-|-|-");
}

TEST_CASE("domain_policy: no row is overwritten", "[schema]") {
  PolicyDatabase policy;
  policy.must("INSERT INTO domain_policy(domain, outbound) VALUES ('bank.example', 'secure')");
  policy.must("INSERT INTO domain_policy(domain) VALUES ('other.example')");
  check_refused(policy, "INSERT", "INSERT INTO domain_policy(domain) VALUES ('bank.example')",
                "write UPDATE domain_policy SET");
  check_refused(policy, "UPSERT",
                "INSERT INTO domain_policy(domain) VALUES ('bank.example') "
                "ON CONFLICT(domain) DO UPDATE SET outbound = 'may'",
                "ON CONFLICT are refused");
  check_refused(policy, "REPLACE", "REPLACE INTO domain_policy(domain) VALUES ('bank.example')",
                "write UPDATE domain_policy SET");
  check_refused(policy, "rename over a row",
                "UPDATE domain_policy SET domain = 'bank.example' WHERE domain = 'other.example'",
                "another row has this key");
  check_refused(policy, "one bad row among good ones",
                "INSERT INTO domain_policy(domain) VALUES ('a.example'), ('B.example')",
                "lower case");
}

TEST_CASE("domain_policy: the CHECKs hold where the triggers were dropped", "[schema]") {
  PolicyDatabase policy;
  policy.must("DROP TRIGGER domain_policy_insert");
  for (const char* const values :
       {"('A.example', 'encrypt', NULL)", "('a b.example', 'encrypt', NULL)",
        "('a.example', 'Secure', NULL)", "('a.example', 'encrypt', 'b.example')",
        "('a.example', 'secure', 'b.example protocols=TLSv1')", "('a.example', 'secure', '')",
        "('a.example', 'fingerprint', NULL)", "('a.example', 'secure', 'x' || char(0))"}) {
    INFO(values);
    CHECK_THAT(policy.sentence("INSERT INTO domain_policy(domain, outbound, match) VALUES " +
                               std::string(values)),
               ContainsSubstring("CHECK constraint failed"));
  }
}
