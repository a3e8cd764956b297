#include "milter/mta.h"

#include <charconv>

namespace forcetls {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The first release that knows RFC 8689.
constexpr int kFirstMajor = 3;
constexpr int kFirstMinor = 10;

/// Takes a number off the front of `text`; -1 if there is none.
int take_number(std::string_view& text) {
  int number = -1;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return problem == std::errc() ? number : -1;
}

/// The value of the only "/CN=" of a subject as OpenSSL prints it on one line. Whoever had a
/// certificate made out to O="x/CN=bank.example" must not gain that name.
std::string_view only_common_name(std::string_view subject) {
  constexpr std::string_view kMark = "/CN=";
  const auto at = subject.find(kMark);
  if (at == subject.npos || subject.find(kMark, at + 1) != subject.npos) return {};
  const std::string_view name = subject.substr(at + kMark.size());
  return name.substr(0, name.find('/'));
}

}  // namespace

MtaKind mta_kind(std::string_view version_macro) {
  if (version_macro.empty()) return MtaKind::Unknown;
  return is_digit(version_macro.front()) ? MtaKind::Sendmail : MtaKind::Postfix;
}

bool obeys_tls_required_no(std::string_view version_macro) {
  if (mta_kind(version_macro) == MtaKind::Sendmail) return false;
  const auto blank = version_macro.rfind(' ');
  if (blank == version_macro.npos) return true;
  std::string_view version = version_macro.substr(blank + 1);
  const int major = take_number(version);
  if (major < 0 || !version.starts_with('.')) return true;
  version.remove_prefix(1);
  const int minor = take_number(version);
  if (minor < 0) return true;
  return major > kFirstMajor || (major == kFirstMajor && minor >= kFirstMinor);
}

std::string_view verified_certificate_name(const Macros& macros) {
  const std::string_view subject = macros.find("{cert_subject}");
  if (mta_kind(macros.find("v")) == MtaKind::Postfix) return subject;
  if (macros.find("{verify}") != "OK") return {};
  return only_common_name(subject);
}

std::string_view asked_next_hop(const Macros& macros) {
  if (mta_kind(macros.find("v")) == MtaKind::Sendmail) return {};
  return macros.find("{rcpt_host}");
}

bool is_local_submission(const Macros& macros, std::string_view client_address,
                         std::string_view sender) {
  const bool from_this_host = client_address == "127.0.0.1" || client_address == "::1";
  return from_this_host && mta_kind(macros.find("v")) == MtaKind::Postfix &&
         macros.find("{client_resolve}").empty() && !macros.find("i").empty() &&
         !sender.starts_with('<');
}

}  // namespace forcetls
