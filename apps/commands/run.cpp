// tenon run: text from a prompt, pictures from a prompt, or plain tensors from .npy files.
#include "commands/run.h"

#include <chrono>

#include "base/clock.h"
#include "base/error.h"
#include "commands/commands.h"
#include "passes/target.h"

namespace tenon::apps {
namespace {

struct Options {
  RunOptions run;
  TextOptions text;
  PictureOptions pictures;
  TensorOptions tensors;
};

void run_model(const Options& options, const Common& common) {
  const RunOptions& run = options.run;
  if (!options.tensors.inputs.empty()) return run_tensors(run, options.tensors, common);
  if (run.prompt.empty() && options.text.ids.empty() && options.pictures.output.empty()) {
    fail(ErrorCode::usage,
         "the prompt is empty: give -p TEXT, --ids 1,2,3 or --input NAME=FILE.npy");
  }
  const auto start = std::chrono::steady_clock::now();
  Model model =
      load_model(run.source, Target::native(parse_precision(run.precision)), common.threads);
  const double load_s = seconds_since(start);
  if (model.draws()) return run_pictures(run, options.pictures, std::move(model), load_s, common);
  if (!options.pictures.output.empty())
    fail(ErrorCode::usage, "{}: writes text, which goes to standard output: leave out -o",
         run.source);
  run_text(run, options.text, std::move(model), load_s, common);
}

}  // namespace

void add_run(CLI::App& program, Common& common, int&) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      add_subcommand(program, common, "run", "write text, draw pictures, or compute tensors",
                     "tenon run llama2.tenon -p \"Why is the sky blue?\" --chat\n"
                     "  tenon run sd21.tenon -p \"a lighthouse at dawn\" -o lighthouse.png");
  command->add_option("SRC", options->run.source, "checkpoint, ONNX folder or file, or bundle")
      ->required();
  command->add_option("-p,--prompt", options->run.prompt,
                      "text to go on from, or what the picture shows");
  command->add_option("--precision", options->run.precision,
                      "fp32, bf16 or int8, unless SRC is a bundle");
  command->add_option("--seed", options->run.seed, "of sampling, or of the noise");
  add_text_flags(*command, options->text);
  add_picture_flags(*command, options->pictures);
  add_tensor_flags(*command, options->tensors);
  command->callback([options, &common] { run_model(*options, common); });
}

}  // namespace tenon::apps
