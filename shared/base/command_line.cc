#include "shared/base/command_line.h"

#include <fmt/format.h>
#include <sysexits.h>

#include <CLI/CLI.hpp>

#include "shared/base/cannot_start.h"

namespace forcetls {

CommandLine::CommandLine(const Program& program)
    : program_(std::make_unique<CLI::App>(program.purpose, program.name)), app_(*program_) {
  app_.set_version_flag("--version", program.version);
  app_.footer(program.examples);
}

CommandLine::CommandLine(CLI::App& command) : app_(command) {}

CommandLine::~CommandLine() = default;

CommandLine& CommandLine::command(const std::string& name, const std::string& purpose) {
  app_.require_subcommand(1);
  // make_unique may not: the constructor is private.
  commands_.push_back(
      std::unique_ptr<CommandLine>(new CommandLine(*app_.add_subcommand(name, purpose))));
  return *commands_.back();
}

void CommandLine::option(const std::string& name, std::string& value, const std::string& help) {
  app_.add_option(name, value, help);
}

void CommandLine::choice(const std::string& name, std::string& value,
                         const std::vector<std::string>& words, const std::string& help) {
  app_.add_option(name, value, help)->check(CLI::IsMember(words));
}

void CommandLine::list(const std::string& name, std::vector<std::string>& values,
                       const std::string& help) {
  app_.add_option(name, values, help)->allow_extra_args(false);
}

void CommandLine::flag(const std::string& name, bool& given, const std::string& help) {
  app_.add_flag(name, given, help);
}

void CommandLine::argument(const std::string& name, std::string& value, const std::string& help) {
  app_.add_option(name, value, help)->required();
}

void CommandLine::exclude(const std::string& name, const std::string& other) {
  app_.get_option(name)->excludes(app_.get_option(other));
}

std::optional<int> CommandLine::parse(int argc, const char* const* argv) try {
  app_.parse(argc, argv);
  return std::nullopt;
} catch (const CLI::Success& done) {
  return app_.exit(done);
} catch (const CLI::ParseError& error) {
  throw CannotStart(EX_USAGE, fmt::format("{} (see {} --help)", error.what(), app_.get_name()));
}

bool CommandLine::given() const { return app_.parsed(); }

}  // namespace forcetls
