// forcetls doctor --mta sendmail.
#include "ctl/command.h"
#include "ctl/doctor_facts.h"
#include "ctl/doctor_look.h"
#include "ctl/file_io.h"
#include "ctl/sendmail_host.h"
#include "shared/base/clock.h"

namespace forcetls {
namespace {

/// One look at everything.
Result<DoctorReport> examine_host(const Config& config, const DoctorOptions& options) {
  doctor::SendmailFacts facts;
  facts.files = sendmail_files(options.sendmail);
  const auto text = read_file(facts.files.cf);
  if (!text) return fail(text.error());
  const SendmailConfig sendmail = SendmailConfig::parse(*text);
  if (const auto submit = read_file(facts.files.submit_cf))
    facts.submit = SendmailConfig::parse(*submit);
  facts.policy = look_at_policy_file(config.policy_db);
  facts.our_addresses = our_addresses(config);
  const auto policy = rows_to_examine(facts.policy);
  if (!policy) return fail(policy.error());
  SendmailProgram program = ask_sendmail(options.sendmail.program, facts.files.cf);
  facts.version = std::move(program.version);
  facts.features = std::move(program.features);
  gather_sendmail(sendmail, doctor::sendmail_questions(sendmail, **policy), facts);
  SystemClock clock;
  return DoctorReport{facts.version, facts.files.cf,
                      doctor::examine_sendmail(sendmail, **policy, facts, clock.now()), true};
}

}  // namespace

int run_sendmail_doctor(const Config& config, const DoctorOptions& options) {
  const auto look = [&] { return examine_host(config, options); };
  return print_report(look_as_root(look, "answer-differs"), options.json);
}

}  // namespace forcetls
