// Each is defined in the file of its name.
#pragma once

#include "command.h"

namespace tenon::apps {

void add_export(CLI::App& program, Common& common, int& exit_code);
void add_build(CLI::App& program, Common& common, int& exit_code);
void add_verify(CLI::App& program, Common& common, int& exit_code);
void add_run(CLI::App& program, Common& common, int& exit_code);
void add_bench(CLI::App& program, Common& common, int& exit_code);
void add_inspect(CLI::App& program, Common& common, int& exit_code);
void add_doctor(CLI::App& program, Common& common, int& exit_code);
void add_serve(CLI::App& program, Common& common, int& exit_code);
void add_tokenize(CLI::App& program, Common& common, int& exit_code);

}  // namespace tenon::apps
