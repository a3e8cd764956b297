#include "shared/mta/sendmail_option_names.h"

#include <algorithm>

namespace forcetls {
namespace {

/// Those of 8.17 and 8.18 (sendmail: readcf.c, OptionTab).
constexpr std::string_view kNames[] = {
    "sevenbitinput",
    "eightbitmode",
    "aliasfile",
    "aliaswait",
    "blanksub",
    "minfreeblocks",
    "checkpointinterval",
    "holdexpensive",
    "deliverymode",
    "errorheader",
    "errormode",
    "tempfilemode",
    "savefromline",
    "matchgecos",
    "helpfile",
    "maxhopcount",
    "resolveroptions",
    "ignoredots",
    "forwardpath",
    "sendmimeerrors",
    "connectioncachesize",
    "connectioncachetimeout",
    "useerrorsto",
    "loglevel",
    "metoo",
    "checkaliases",
    "oldstyleheaders",
    "daemonportoptions",
    "privacyoptions",
    "postmastercopy",
    "queuefactor",
    "queuedirectory",
    "dontpruneroutes",
    "statusfile",
    "timeout",
    "supersafe",
    "queuetimeout",
    "timezonespec",
    "userdatabasespec",
    "defaultuser",
    "fallbackmxhost",
    "verbose",
    "trynullmxlist",
    "queuela",
    "refusela",
    "recipientfactor",
    "forkeachjob",
    "classfactor",
    "retryfactor",
    "queuesortorder",
    "hostsfile",
    "minqueueage",
    "defaultcharset",
    "serviceswitchfile",
    "dialdelay",
    "norecipientaction",
    "safefileenvironment",
    "maxmessagesize",
    "colonokinaddr",
    "maxqueuerunsize",
    "maxdaemonchildren",
    "dontexpandcnames",
    "mustquotechars",
    "smtpgreetingmessage",
    "unixfromline",
    "operatorchars",
    "dontinitgroups",
    "singlelinefromheader",
    "allowbogushelo",
    "connectionratethrottle",
    "unsafegroupwrites",
    "doublebounceaddress",
    "hoststatusdirectory",
    "singlethreaddelivery",
    "runasuser",
    "rrtimpliesdsn",
    "pidfile",
    "dontblamesendmail",
    "dontprobeinterfaces",
    "maxrecipientspermessage",
    "deadletterdrop",
    "maxaliasrecursion",
    "connectonlyto",
    "trusteduser",
    "maxmimeheaderlength",
    "controlsocketname",
    "maxheaderslength",
    "processtitleprefix",
    "defaultauthinfo",
    "authmechanisms",
    "clientportoptions",
    "datafilebuffersize",
    "xscriptfilebuffersize",
    "servercertfile",
    "serverkeyfile",
    "clientcertfile",
    "clientkeyfile",
    "cacertfile",
    "cacertpath",
    "dhparameters",
    "inputmailfilters",
    "milter",
    "ldapdefaultspec",
    "authoptions",
    "queuefilemode",
    "certfingerprintalgorithm",
    "cipherlist",
    "randfile",
    "tlssrvoptions",
    "badrcptthrottle",
    "deliverbymin",
    "maxqueuechildren",
    "maxrunnersperqueue",
    "directsubmissionmodifiers",
    "nicequeuerun",
    "sharedmemorykey",
    "authmaxbits",
    "mailboxdatabase",
    "usemsp",
    "delayla",
    "fastsplit",
    "softbounce",
    "sharedmemorykeyfile",
    "rejectloginterval",
    "requiresdirfsync",
    "connectionratewindowsize",
    "crlfile",
    "fallbacksmarthost",
    "authrealm",
    "crlpath",
    "heloname",
    "maxnoopcommands",
    "badrcptshutdown",
    "badrcptshutdowngood",
    "serverssloptions",
    "clientssloptions",
    "maxqueueage",
    "rejectnul",
    "usecompressedipv6addresses",
    "sslengine",
    "sslenginepath",
    "tlsfallbacktoclear",
    "setcertaltnames",
    "smtputf8",
    "stricttransportsecurity",
    "ciphersuites",
    "dane",
};

}  // namespace

std::string sendmail_option_meant_by(std::string_view name) {
  const auto dot = std::min(name.find('.'), name.size());
  const std::string_view option = name.substr(0, dot);
  std::string_view found;
  for (const std::string_view known : kNames) {
    if (known == option) return std::string(name);
    if (option.empty() || !known.starts_with(option)) continue;
    if (!found.empty()) return {};
    found = known;
  }
  return found.empty() ? std::string(name) : std::string(found).append(name.substr(dot));
}

std::string_view sendmail_option_of_letter(std::string_view text) {
  switch (text.empty() ? '\0' : text.front()) {
    case 'I':
      return "resolveroptions";
    case 'O':
      return "daemonportoptions";
    case 'Q':
      return "queuedirectory";
    case 'R':
      return "dontpruneroutes";
    case 'p':
      return "privacyoptions";
    default:
      return {};
  }
}

}  // namespace forcetls
