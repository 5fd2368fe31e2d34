// A command of the program: a row with its name and the function that adds its flags and its
// action.
#pragma once

#include <span>
#include <string>

#include <CLI/CLI.hpp>

#include "base/json.h"

namespace tenon::apps {

/// Flags that every command takes.
struct Common {
  bool json = false;  ///< one JSON object on standard output, everything else on standard error
  int threads = 0;    ///< 0: one per processor
  std::string log = "warn";
};

/// Adds a subcommand to `program`. Its callback does the work and throws Error on failure; a
/// command that finds a fault without an Error (verify, doctor) sets `exit_code` to 1.
struct Command {
  const char* name;
  void (*add)(CLI::App& program, Common& common, int& exit_code);
};
std::span<const Command> commands();

/// Adds a subcommand with the common flags and an example under its help.
CLI::App* add_subcommand(CLI::App& program, Common& common, const char* name, const char* what,
                         const char* example);

/// Prints the object as one line on standard output.
void print_json(const Json& object);

}  // namespace tenon::apps
