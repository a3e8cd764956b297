// forcetls: the administrator's command.
#include <cstdio>
#include <system_error>

#include "ctl/command.h"
#include "ctl/sendmail_host.h"
#include "shared/base/cannot_start.h"
#include "shared/base/daemon.h"
#include "shared/base/options.h"

namespace forcetls {
namespace {

constexpr const char* kExamples = R"help(
Examples:
  forcetls init --policy-db /var/lib/forcetls/policy.db
  sqlite3 /var/lib/forcetls/policy.db \
    "INSERT INTO domain_policy(domain, outbound) VALUES ('bank.example', 'secure')"
  forcetls check someone@bank.example
  forcetls check --json '[relay.example]:587'
  forcetls check --forced bank.example && echo "mail for bank.example never leaves in clear"
  forcetls setup                           # what Postfix's configuration needs; changes nothing
  forcetls setup --apply                   # makes those changes, with a backup
  forcetls setup --undo                    # main.cf and master.cf as they were, byte for byte
  forcetls setup --config-dir /etc/postfix-out --apply
  forcetls setup --mta sendmail            # the lines that sendmail.mc and submit.mc need
  forcetls doctor
  forcetls doctor --mta sendmail
  forcetls doctor --json --config-dir /etc/postfix-out | jq '.findings[].fix'

Exit status of doctor: 0 nothing but notes, 1 a warning, 2 a leak, 3 it could not look, 64 wrong use.

Exit status: 0 done, 1 not forced (check --forced) or there are changes to apply (setup), 64 wrong
use, 65 not a domain, address or next hop, 66 no such database or Postfix instance, 71 it cannot be
read or written, 74 what was to be printed cannot be written, 75 try again (a name that cannot be
converted: Postfix is told to wait too; setup: the daemons do not answer Postfix), 77 not permitted,
78 not a policy database of this version, or a Postfix configuration that is broken or was changed
since.
)help";

struct Flags {
  CommonFlags common;
  InitOptions init;
  CheckOptions check;
  DoctorOptions doctor;
  SetupOptions setup;
};

CommandLine& define_init(CommandLine& line, Flags& flags) {
  CommandLine& command = line.command(
      "init", "Create an empty policy database, or migrate an older one (with a backup)");
  define_files(command, flags.common);
  command.flag("--existing", flags.init.existing,
               "Only migrate: fail where there is no database, instead of creating one");
  return command;
}

CommandLine& define_check(CommandLine& line, Flags& flags) {
  CommandLine& command =
      line.command("check", "Show which row decides for a domain, and what Postfix is told");
  define_files(command, flags.common);
  command.argument("WHAT", flags.check.what, "DOMAIN, ADDRESS, [HOST], [HOST]:PORT or HOST:PORT");
  command.flag("--json", flags.check.json, "Print one JSON object");
  command.flag("--forced", flags.check.must_be_forced,
               "Exit with status 1 unless mail there leaves over TLS or waits");
  return command;
}

void define_mta(CommandLine& command, SendmailOptions& options) {
  command.choice("--mta", options.mta, {"postfix", "sendmail"},
                 "postfix or sendmail (default: Postfix if it is configured here, else Sendmail)");
  command.option("--mc", options.mc, "Sendmail's sendmail.mc (default: /etc/mail/sendmail.mc)");
  command.option("--cf", options.cf, "Sendmail's sendmail.cf (default: beside sendmail.mc)");
  command.option("--sendmail", options.program, "Sendmail's program, asked for its version");
}

CommandLine& define_doctor(CommandLine& line, Flags& flags) {
  CommandLine& command = line.command(
      "doctor", "Find every way around the enforcement in Postfix, and what closes it");
  define_files(command, flags.common);
  command.option("--config-dir", flags.doctor.config_dir,
                 "Directory of main.cf (default: where Postfix looks for it by itself)");
  define_mta(command, flags.doctor.sendmail);
  command.flag("--json", flags.doctor.json, "Print one JSON object");
  return command;
}

CommandLine& define_setup(CommandLine& line, Flags& flags) {
  CommandLine& command = line.command(
      "setup",
      "Show what Postfix's configuration needs; --apply makes the changes, --undo takes "
      "them back");
  define_files(command, flags.common);
  SetupOptions& setup = flags.setup;
  command.option("--config-dir", setup.config_dir,
                 "Directory of main.cf, for another instance than the host's own");
  command.flag("--apply", setup.apply, "Make the changes");
  command.flag("--undo", setup.undo, "Put main.cf and master.cf back as they were");
  command.exclude("--undo", "--apply");
  command.flag("--bounce-bodies", setup.bounce_bodies,
               "Leave bounces with the text of the message in them");
  define_mta(command, setup.sendmail);
  return command;
}

int run_for_mta(const Config& config, const DoctorOptions& options) {
  return mta_of(options.sendmail, options.config_dir) == Mta::Sendmail
             ? run_sendmail_doctor(config, options)
             : run_doctor(config, options);
}

int run_for_mta(const Config& config, const SetupOptions& options) {
  return mta_of(options.sendmail, options.config_dir) == Mta::Sendmail
             ? run_sendmail_setup(config, options)
             : run_setup(config, options);
}

int run(int argc, const char* const* argv) {
  CommandLine line(
      {.name = "forcetls",
       .purpose = "Forced TLS per partner: looks after the policy that Postfix asks for.",
       .version = "forcetls " FORCETLS_VERSION,
       .examples = kExamples});
  Flags flags;
  const CommandLine& init = define_init(line, flags);
  const CommandLine& doctor = define_doctor(line, flags);
  define_check(line, flags);
  const CommandLine& setup = define_setup(line, flags);
  if (const auto done = line.parse(argc, argv)) return *done;
  const Config config = read_settings(flags.common);
  if (init.given()) return run_init(config, flags.init);
  if (doctor.given()) return run_for_mta(config, flags.doctor);
  if (setup.given()) return run_for_mta(config, flags.setup);
  return run_check(config, flags.check);
}

/// Who reads half of what was found must not take it for all of it.
int run_and_print(int argc, const char* const* argv) {
  int status = EX_OK;
  try {
    status = run(argc, argv);
  } catch (const std::system_error&) {
    if (std::ferror(stdout) == 0) throw;  // not fmt::print's
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    throw CannotStart(EX_IOERR, "standard output cannot be written");
  return status;
}

}  // namespace
}  // namespace forcetls

int main(int argc, char** argv) {
  return forcetls::guarded_main("forcetls", [&] { return forcetls::run_and_print(argc, argv); });
}
