#include "shared/mta/postconf.h"

#include "tests/unit/catch.h"

using namespace forcetls;

namespace {

const char* const kAll = R"(compatibility_level = 3.6
mail_version = 3.7.11
maps = hash:/a
myhostname = mail.ours.example
smtp_tls_fingerprint_digest = ${{$compatibility_level} <level {3.6} ? {md5} : {sha256}}
smtp_tls_policy_maps =
smtpd_banner = $myhostname ESMTP
)";
const char* const kSet =
    "maps = hash:/a\nsmtp_tls_policy_maps = $maps,  texthash:/b\nrelayhost =\n";
const char* const kFields = R"(smtp/inet/service = smtp
smtp/inet/type = inet
smtp/inet/chroot = y
smtp/inet/command = smtpd
smtp/unix/service = smtp
smtp/unix/type = unix
smtp/unix/chroot = -
smtp/unix/command = smtp
odd/name/unix/service = odd/name
odd/name/unix/type = unix
odd/name/unix/chroot = n
odd/name/unix/command = smtp -o maps=cdb:/c -o {x = y}
)";
const char* const kOverrides = "odd/name/unix/maps = cdb:/c$service_name\n";

PostfixConfig config(const std::string& more = {}) {
  auto parsed = PostfixConfig::parse({kAll + more, kSet, kFields, kOverrides});
  REQUIRE(parsed);
  return *std::move(parsed);
}

}  // namespace

TEST_CASE("PostfixConfig: version", "[mta][postconf]") {
  CHECK(config().version().text == "3.7.11");
  CHECK(config().version().patch == 11);
  CHECK(config().at_least(3, 7));
  CHECK_FALSE(config().at_least(3, 8));
  CHECK(config("mail_version = 3.10.2\n").at_least(3, 8));
  CHECK(config("mail_version = 4.0-RC1\n").at_least(3, 11));
}

TEST_CASE("PostfixConfig: values in force, and what main.cf says", "[mta][postconf]") {
  const PostfixConfig it = config();
  CHECK(it.value("smtpd_banner") == "mail.ours.example ESMTP");
  CHECK(it.value("smtp_tls_fingerprint_digest") == "sha256");
  CHECK(it.value("no_such") == "");
  CHECK(it.list("smtp_tls_policy_maps") == std::vector<std::string>{"hash:/a", "texthash:/b"});
  CHECK(it.text_in_main_cf("smtp_tls_policy_maps") == "$maps,  texthash:/b");
  CHECK(it.is_set("relayhost"));
  CHECK_FALSE(it.is_set("smtpd_banner"));
  CHECK(it.knows("smtpd_banner"));
  CHECK_FALSE(it.knows("tls_required_enable"));
}

TEST_CASE("PostfixConfig: services and their overrides", "[mta][postconf]") {
  const PostfixConfig it = config();
  REQUIRE(it.services().size() == 3);
  REQUIRE(it.services_of("smtp").size() == 2);
  const PostfixService& odd = *it.services_of("smtp")[1];
  CHECK(odd.label() == "odd/name/unix");
  CHECK(odd.name == "odd/name");
  CHECK_FALSE(odd.chrooted);
  // An override also changes what main.cf's values expand to.
  CHECK(it.value(odd, "smtp_tls_policy_maps") == "cdb:/codd/name,  texthash:/b");
  CHECK(it.value(odd, "smtpd_banner") == "mail.ours.example ESMTP");
  const PostfixService* smtpd = it.find_service("smtp", "inet");
  REQUIRE(smtpd != nullptr);
  CHECK(smtpd->chrooted);
  CHECK(it.value(*smtpd, "maps") == "hash:/a");
  CHECK(it.find_service("smtp", "fifo") == nullptr);
}

TEST_CASE("PostfixConfig: a dash in the chroot column depends on the level", "[mta][postconf]") {
  CHECK_FALSE(config().find_service("smtp", "unix")->chrooted);
  CHECK(config("compatibility_level = 0\n").find_service("smtp", "unix")->chrooted);
}

TEST_CASE("PostfixConfig: texts that are not postconf's", "[mta][postconf]") {
  const PostconfTexts rows[] = {
      {},
      {.all = "mail_version 3.7.11\n"},
      {.all = "mail_version = unknown\n"},
      {.all = "mail_version = 3.7.11\n", .fields = "smtp/inet/chroot = y\n"},
      {.all = "mail_version = 3.7.11\n", .overrides = "smtp/inet/x = y\n"},
      {.all = "mail_version = 3.7.11\n", .set = "garbage\n"},
  };
  for (const PostconfTexts& row : rows) {
    const auto parsed = PostfixConfig::parse(row);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == ErrorCode::Malformed);
  }
}
