// A command line of one of our programs: what may be on it, and where what is on it goes. CLI11 is
// behind it, and nowhere else: it takes ten seconds to compile wherever it is used.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): not ours
class App;
}

namespace forcetls {

/// A program, or one of its commands. Where values go must outlive parse(); what was not given
/// leaves them as they are.
class CommandLine {
 public:
  /// `version` is all that --version prints, `examples` the end of what --help prints.
  struct Program {
    const char* name;
    const char* purpose;
    const char* version;
    const char* examples;
  };
  explicit CommandLine(const Program& program);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  /// A command of the program, which must be given one then. It lives as long as the program.
  CommandLine& command(const std::string& name, const std::string& purpose);

  /// --name VALUE, at most once.
  void option(const std::string& name, std::string& value, const std::string& help);
  /// The same, with one of `words`.
  void choice(const std::string& name, std::string& value, const std::vector<std::string>& words,
              const std::string& help);
  /// The same, any number of times.
  void list(const std::string& name, std::vector<std::string>& values, const std::string& help);
  /// --name.
  void flag(const std::string& name, bool& given, const std::string& help);
  /// An argument that must be there.
  void argument(const std::string& name, std::string& value, const std::string& help);
  /// Not both of two that were defined.
  void exclude(const std::string& name, const std::string& other);

  /// Reads the command line into what was defined. An exit status if there is nothing more to do
  /// (--help, --version). Throws CannotStart, EX_USAGE with one line, for a wrong flag.
  std::optional<int> parse(int argc, const char* const* argv);

  /// Whether this command was given.
  bool given() const;

 private:
  explicit CommandLine(CLI::App& command);

  std::unique_ptr<CLI::App> program_;  ///< nothing: this is a command
  CLI::App& app_;
  std::vector<std::unique_ptr<CommandLine>> commands_;
};

}  // namespace forcetls
