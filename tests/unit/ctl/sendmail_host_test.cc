#include "ctl/sendmail_host.h"

#include "tests/unit/catch.h"

using namespace forcetls;

TEST_CASE("sendmail: what the program tells of itself", "[ctl][sendmail]") {
  const SendmailProgram told = program_in(
      "Version 8.18.1\n Compiled with: DANE DNSMAP MAX_TLSA_RR=64\n\t\tMILTER SOCKETMAP\n"
      "\t\tSTARTTLS\n    OS Defines: HASFLOCK SOCKET_OF_THE_SYSTEM\n");
  CHECK(told.version == "8.18.1");
  CHECK(told.features.contains("SOCKETMAP"));
  CHECK(told.features.contains("STARTTLS"));
  CHECK_FALSE(told.features.contains("HASFLOCK"));
}

TEST_CASE("sendmail: another program's words tell nothing", "[ctl][sendmail]") {
  for (const char* printed :
       {"", "Version", "sendmail: fatal: unsupported: -bt\n", "Compiled with: STARTTLS\n"}) {
    CAPTURE(printed);
    CHECK(program_in(printed).version.empty());
    CHECK(program_in(printed).features.empty());
  }
  CHECK(program_in("Version 8.17.1.9").version == "8.17.1.9");
}

TEST_CASE("sendmail: entries of an access database", "[ctl][sendmail]") {
  const auto entries = access_entries_in(
      "# a comment\n\nTry_TLS:mx.bank.example\tNO\n  Connect:spam.example   ERROR:5.7.1:550 no\n"
      "alone\r\n");
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].key == "Try_TLS:mx.bank.example");
  CHECK(entries[0].value == "NO");
  CHECK(entries[1].value == "ERROR:5.7.1:550 no");
  CHECK(entries[2].key == "alone");
  CHECK(entries[2].value.empty());
}

TEST_CASE("sendmail: where its files are", "[ctl][sendmail]") {
  CHECK(sendmail_files({}).cf == "/etc/mail/sendmail.cf");
  CHECK(sendmail_files({}).mc() == "/etc/mail/sendmail.mc");
  CHECK(sendmail_files({}).submit_mc() == "/etc/mail/submit.mc");
  CHECK(sendmail_files({}).snippet() == "/etc/mail/m4/forcetls.m4");
  const auto beside = sendmail_files({.mc = "/x/out.mc"});
  CHECK(beside.cf == "/x/out.cf");
  CHECK(beside.submit_cf == "/x/submit.cf");
  CHECK(beside.snippet() == "/x/m4/forcetls.m4");
  const auto apart = sendmail_files({.mc = "/src/mail.m4", .cf = "/x/sendmail.cf"});
  CHECK(apart.mc() == "/src/mail.m4");
  CHECK(apart.cf == "/x/sendmail.cf");
}

TEST_CASE("sendmail: the MTA that is meant", "[ctl][sendmail]") {
  CHECK(mta_of({.mta = "sendmail"}, "") == Mta::Sendmail);
  CHECK(mta_of({.mta = "postfix", .mc = "/x/y.mc"}, "") == Mta::Postfix);
  CHECK(mta_of({.mc = "/x/y.mc"}, "") == Mta::Sendmail);
  CHECK(mta_of({.cf = "/x/y.cf"}, "") == Mta::Sendmail);
  CHECK(mta_of({}, "/etc/postfix-out") == Mta::Postfix);
}
