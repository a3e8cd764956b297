// forcetls setup --mta sendmail.
#include "shared/mta/sendmail_setup.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "ctl/command.h"
#include "ctl/file_io.h"
#include "ctl/sendmail_host.h"
#include "shared/base/log.h"
#include "shared/mta/sendmail_ruleset.h"

namespace forcetls {
namespace {

constexpr std::string_view kPostfixQueue = "unix:/var/spool/postfix/";

int sendmail_setup_failed(const Error& error) {
  fmt::print(stderr, "forcetls setup: {}\n", without_controls(error.context));
  return exit_status_of(error.code);
}

/// The first of our addresses that is not Postfix's; `usual` if forcetls.conf has none.
std::string address_for_sendmail(const std::vector<ListenAddress>& addresses,
                                 const std::string& usual) {
  for (const ListenAddress& address : addresses)
    if (std::string text = address.text(); !text.starts_with(kPostfixQueue)) return text;
  return usual;
}

std::optional<SendmailConfig> read_cf(const std::string& path) {
  const auto text = read_file(path);
  return text ? std::optional(SendmailConfig::parse(*text)) : std::nullopt;
}

Result<SendmailSetupFacts> look_around_sendmail(const Config& config,
                                                const SendmailOptions& options) {
  const doctor::SendmailFiles files = sendmail_files(options);
  SendmailSetupFacts facts;
  facts.mc_path = files.mc();
  facts.submit_mc_path = files.submit_mc();
  auto mc = read_file(facts.mc_path);
  if (!mc) return fail(std::move(mc).error());
  facts.mc = *std::move(mc);
  if (auto submit = read_file(facts.submit_mc_path)) facts.submit_mc = *std::move(submit);
  facts.cf = read_cf(files.cf);
  facts.submit_cf = read_cf(files.submit_cf);
  SendmailProgram program = ask_sendmail(options.program, files.cf);
  facts.version = std::move(program.version);
  facts.features = std::move(program.features);
  facts.snippet_path = files.snippet();
  const auto snippet = read_file(facts.snippet_path);
  facts.has_snippet = snippet && *snippet == shipped_snippet();
  facts.map_address = address_for_sendmail(config.listen_map, facts.map_address);
  facts.milter_address = address_for_sendmail(config.listen_milter, facts.milter_address);
  return facts;
}

}  // namespace

int run_sendmail_setup(const Config& config, const SetupOptions& options) {
  if (options.apply || options.undo) {
    fmt::print(stderr,
               "forcetls setup: --apply and --undo are for Postfix: sendmail.mc is m4 text, so "
               "setup says which lines it needs, and you write them\n");
    return EX_USAGE;
  }
  const auto facts = look_around_sendmail(config, options.sendmail);
  if (!facts) return sendmail_setup_failed(facts.error());
  if (const std::string refusal = refusal_of_sendmail(*facts); !refusal.empty()) {
    fmt::print(stderr, "forcetls setup: {}\n", without_controls(refusal));
    return EX_CONFIG;
  }
  const auto lines = plan_sendmail_setup(*facts);
  fmt::print("{}", in_words(lines, *facts));
  return lines.empty() ? EX_OK : kExitChangesToApply;
}

}  // namespace forcetls
