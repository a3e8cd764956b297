#include "milter/mta.h"

#include "tests/unit/milter/session_fixture.h"

namespace forcetls {

TEST_CASE("obeys_tls_required_no: Postfix from 3.10 on, and whatever cannot be told",
          "[milter][mta]") {
  struct Row {
    std::string version;
    bool want;
  };
  const Row rows[] = {{"Postfix 3.10.0", true},
                      {"Postfix 3.10", true},
                      {"Postfix 3.11.7", true},
                      {"Postfix 3.11-20250101", true},
                      {"Postfix 4.0.0", true},
                      {"ACME Mail 3.10.13", true},
                      {"", true},
                      {"Postfix", true},
                      {"Postfix x", true},
                      {"Postfix 3", true},
                      {"Postfix 3.x", true},
                      {"Postfix 99999999999999999999.1", true},
                      {"Postfix 3.7.11", false},
                      {"Postfix 3.9.9", false},
                      {"Postfix 2.11.0", false},
                      {"ACME Mail 3.5.0", false},
                      {"8.17.1.9", false},
                      {"8.18.1/8.18.1/Debian-6", false}};
  for (const Row& row : rows) {
    CAPTURE(row.version);
    CHECK(obeys_tls_required_no(row.version) == row.want);
  }
}

TEST_CASE("verified_certificate_name: only a trusted, unambiguous name", "[milter][mta]") {
  struct Row {
    std::string what;
    FakeMacros::Table macros;
    std::string want;
  };
  const Row rows[] = {
      {"Postfix", {{"v", "Postfix 3.7.11"}, {"{cert_subject}", "a.example"}}, "a.example"},
      {"Postfix, a name that looks like a DN",
       {{"v", "Postfix 3.7.11"}, {"{cert_subject}", "/CN=a.example"}},
       "/CN=a.example"},
      {"Postfix, none", {{"v", "Postfix 3.7.11"}}, ""},
      {"Sendmail",
       {{"v", "8.17.1.9"}, {"{verify}", "OK"}, {"{cert_subject}", "/C=DE/O=B/CN=a.example"}},
       "a.example"},
      {"Sendmail, more after the name",
       {{"v", "8.17.1.9"}, {"{verify}", "OK"}, {"{cert_subject}", "/CN=a.example/emailAddress=x"}},
       "a.example"},
      {"Sendmail, not verified",
       {{"v", "8.17.1.9"}, {"{verify}", "FAIL"}, {"{cert_subject}", "/CN=a.example"}},
       ""},
      {"Sendmail, {verify} not sent", {{"v", "8.17.1.9"}, {"{cert_subject}", "/CN=a.example"}}, ""},
      {"Sendmail, two names",
       {{"v", "8.17.1.9"},
        {"{verify}", "OK"},
        {"{cert_subject}", "/O=x/CN=a.example/CN=b.example"}},
       ""},
      {"Sendmail, no name",
       {{"v", "8.17.1.9"}, {"{verify}", "OK"}, {"{cert_subject}", "/O=a.example"}},
       ""},
      {"unknown MTA", {{"{cert_subject}", "a.example"}}, ""},
      {"unknown MTA, verified",
       {{"{verify}", "OK"}, {"{cert_subject}", "/CN=a.example"}},
       "a.example"}};
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const FakeMacros macros(row.macros);
    CHECK(verified_certificate_name(macros) == row.want);
  }
}

}  // namespace forcetls
