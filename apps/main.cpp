// The program `tenon`: parses arguments, runs one command, turns errors into messages and exit
// codes.
#include <array>
#include <cstdio>
#include <new>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/version.h"
#include "command.h"
#include "commands/commands.h"

namespace tenon::apps {

std::span<const Command> commands() {
  static constexpr std::array kCommands = {
      Command{"export", add_export}, Command{"build", add_build},
      Command{"verify", add_verify}, Command{"run", add_run},
      Command{"bench", add_bench},   Command{"inspect", add_inspect},
      Command{"doctor", add_doctor}, Command{"tokenize", add_tokenize},
      Command{"serve", add_serve},
  };
  return kCommands;
}

CLI::App* add_subcommand(CLI::App& program, Common& common, const char* name, const char* what,
                         const char* example) {
  CLI::App* command = program.add_subcommand(name, what);
  command->footer(std::string("example: ") + example);
  command->add_flag("--json", common.json, "one JSON object on standard output");
  command
      ->add_option("--threads", common.threads,
                   "threads to compute with (default: one per processor)")
      ->check(CLI::Range(0, 1024));
  command->add_option("--log", common.log, "debug, info, warn, error or off");
  return command;
}

void print_json(const Json& object) {
  fmt::print("{}\n", json_text(object));
  std::fflush(stdout);
}

namespace {

int report(const Error& error) {
  fmt::print(stderr, "tenon: {}\n", error.what());
  return exit_code(error.code());
}

int run(int argc, char** argv) {
  CLI::App program{
      "Tenon: from a model checkpoint to verified ONNX and to the fastest engine with the same "
      "answers"};
  program.name("tenon");
  program.require_subcommand(1);
  program.set_version_flag("--version", fmt::format("tenon {}", version()));
  Common common;
  int exit = 0;
  for (const Command& command : commands()) command.add(program, common, exit);
  program.parse_complete_callback([&] { log::set_level(log::parse_level(common.log)); });
  try {
    catch_interrupts();
    program.parse(argc, argv);
    return exit;
  } catch (const CLI::ParseError& error) {
    const int code = program.exit(error);
    return code == 0 ? 0 : exit_code(ErrorCode::usage);
  } catch (const Error& error) {
    return report(error);
  } catch (const std::bad_alloc&) {
    return report(Error(ErrorCode::resource, "memory ran out")
                      .hint("`tenon doctor` tells what a model needs"));
  } catch (const std::exception& error) {
    return report(Error(ErrorCode::internal, error.what()));
  }
}

}  // namespace
}  // namespace tenon::apps

int main(int argc, char** argv) { return tenon::apps::run(argc, argv); }
