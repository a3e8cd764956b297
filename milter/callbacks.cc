#include "milter/callbacks.h"

#include <arpa/inet.h>
#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>

#include "milter/reply.h"
#include "shared/base/cannot_start.h"

namespace forcetls {
namespace {

/// libmilter hands no pointer of ours to the callbacks. Set before smfi_main, never changed.
Surroundings* the_surroundings = nullptr;

/// The steps we can do without, and those that need no answer of ours. libmilter itself answers
/// where the MTA offers no NR bit, and leaves out the NO bits that the MTA does not know.
constexpr unsigned long kSteps = SMFIP_NOBODY | SMFIP_NOEOH | SMFIP_NODATA | SMFIP_NOUNKNOWN |
                                 SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_HDR;

/// What to send with each step. {tls_version} twice, because a client may send no EHLO after
/// STARTTLS; {verify} is Sendmail's; {client_resolve} tells smtpd(8) from cleanup(8) (mta.h).
constexpr std::pair<int, const char*> kWantedMacros[] = {
    {SMFIM_CONNECT, "j {daemon_name} {daemon_addr} v {client_addr} {client_resolve}"},
    {SMFIM_HELO, "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer} {verify}"},
    {SMFIM_ENVFROM,
     "i {tls_version} {cipher} {cipher_bits} {cert_subject} {verify} {auth_type} {mail_addr}"},
    {SMFIM_ENVRCPT, "i {rcpt_addr} {rcpt_host} {rcpt_mailer} {tls_version} {cipher_bits}"},
    {SMFIM_EOM, "i"}};

class LibmilterMacros final : public Macros {
 public:
  explicit LibmilterMacros(SMFICTX* context) : context_(context) {}
  std::string_view find(const char* name) const override {
    const char* value = ::smfi_getsymval(context_, const_cast<char*>(name));
    return value == nullptr ? std::string_view{} : value;
  }

 private:
  SMFICTX* context_;
};

void log_failure(const char* step, const char* what) noexcept try {
  the_surroundings->log.error("{}: {}; answered with a tempfail", step, what);
} catch (...) {
  // Out of memory for the log line too. The MTA hears of the failure in any case.
}

/// Every callback goes through here: no exception may reach libmilter, and what fails is a
/// tempfail.
template <class Step>
sfsistat guarded(const char* name, Step step) noexcept {
  try {
    return step();
  } catch (const std::exception& error) {
    log_failure(name, error.what());
  } catch (...) {
    log_failure(name, "unknown exception");
  }
  return SMFIS_TEMPFAIL;
}

std::unique_ptr<Session> take_session(SMFICTX* context) {
  std::unique_ptr<Session> session(static_cast<Session*>(::smfi_getpriv(context)));
  ::smfi_setpriv(context, nullptr);
  return session;
}

Session& session_of(SMFICTX* context) {
  auto* session = static_cast<Session*>(::smfi_getpriv(context));
  if (session == nullptr) throw std::runtime_error("the MTA sent no connection before this step");
  return *session;
}

/// Empty for what is no network address: a local pipe, or an MTA that does not know.
std::string text_of(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address == nullptr) return {};
  if (address->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, address, sizeof v4);
    ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
  } else if (address->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, address, sizeof v6);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  }
  return text.data();
}

sfsistat open_session(SMFICTX* context, const sockaddr* address) {
  take_session(context);
  auto session = std::make_unique<Session>(*the_surroundings, text_of(address));
  ::smfi_setpriv(context, session.release());
  return SMFIS_NOREPLY;
}

sfsistat mail(SMFICTX* context, const char* sender) {
  return answer(context, session_of(context).mail(sender, LibmilterMacros(context)));
}

sfsistat recipient(SMFICTX* context, const char* address) {
  return answer(context, session_of(context).recipient(address, LibmilterMacros(context)));
}

sfsistat header(SMFICTX* context, const char* name, const char* value) {
  session_of(context).header(name, value);
  return SMFIS_NOREPLY;
}

sfsistat end_of_message(SMFICTX* context) {
  return answer(context, session_of(context).end_of_message(LibmilterMacros(context)));
}

sfsistat abort_message(SMFICTX* context) {
  session_of(context).abort();
  return SMFIS_CONTINUE;
}

sfsistat close_session(SMFICTX* context) {
  if (const auto session = take_session(context)) session->abort();
  return SMFIS_CONTINUE;
}

sfsistat negotiate(SMFICTX* context, unsigned long offered_actions, unsigned long* actions,
                   unsigned long* steps) {
  *actions = SMFIF_NONE;
  *steps = kSteps;
  if ((offered_actions & SMFIF_SETSYMLIST) == 0) return SMFIS_CONTINUE;
  *actions = SMFIF_SETSYMLIST;
  for (const auto& [step, names] : kWantedMacros)
    ::smfi_setsymlist(context, step, const_cast<char*>(names));
  return SMFIS_CONTINUE;
}

extern "C" {

// NOLINTNEXTLINE(readability-function-size): libmilter fixes the parameters.
sfsistat on_negotiate(SMFICTX* context, unsigned long offered_actions, unsigned long, unsigned long,
                      unsigned long, unsigned long* actions, unsigned long* steps,
                      unsigned long* unused_2, unsigned long* unused_3) {
  *unused_2 = *unused_3 = 0;
  return guarded("negotiate", [&] { return negotiate(context, offered_actions, actions, steps); });
}

sfsistat on_connect(SMFICTX* context, char*, sockaddr* address) {
  return guarded("connect", [&] { return open_session(context, address); });
}

sfsistat on_helo(SMFICTX*, char*) { return SMFIS_NOREPLY; }

sfsistat on_envfrom(SMFICTX* context, char** arguments) {
  return guarded("envfrom", [&] { return mail(context, arguments[0]); });
}

sfsistat on_envrcpt(SMFICTX* context, char** arguments) {
  return guarded("envrcpt", [&] { return recipient(context, arguments[0]); });
}

sfsistat on_header(SMFICTX* context, char* name, char* value) {
  return guarded("header", [&] { return header(context, name, value); });
}

sfsistat on_eom(SMFICTX* context) {
  return guarded("eom", [&] { return end_of_message(context); });
}

sfsistat on_abort(SMFICTX* context) {
  return guarded("abort", [&] { return abort_message(context); });
}

sfsistat on_close(SMFICTX* context) {
  return guarded("close", [&] { return close_session(context); });
}

}  // extern "C"
}  // namespace

void register_callbacks(Surroundings& surroundings) {
  the_surroundings = &surroundings;
  static char name[] = "forcetls-milter";
  smfiDesc filter{};
  filter.xxfi_name = name;
  filter.xxfi_version = SMFI_VERSION;
  filter.xxfi_negotiate = on_negotiate;
  filter.xxfi_connect = on_connect;
  filter.xxfi_helo = on_helo;
  filter.xxfi_envfrom = on_envfrom;
  filter.xxfi_envrcpt = on_envrcpt;
  filter.xxfi_header = on_header;
  filter.xxfi_eom = on_eom;
  filter.xxfi_abort = on_abort;
  filter.xxfi_close = on_close;
  if (::smfi_register(filter) != MI_SUCCESS)
    throw CannotStart(EX_SOFTWARE, "libmilter does not take the callbacks");
}

}  // namespace forcetls
