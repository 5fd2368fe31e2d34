// tenon export: a checkpoint becomes an ONNX folder as optimum lays it out.
#include "base/atomic_file.h"
#include "base/error.h"
#include "base/progress.h"
#include "commands/commands.h"
#include "model_source.h"
#include "onnx/writer.h"

namespace tenon::apps {
namespace {

struct Options {
  std::string source;
  std::string output;
  int opset = 17;
  std::string dtype = "fp32";
  std::string layout = "optimum";
  bool no_past = false;
  std::string max_ram = "1G";
};

void export_model(const Options& options, const Common& common) {
  const DType dtype = parse_dtype(options.dtype);
  const std::uint64_t max_ram = parse_bytes(options.max_ram);
  if (detect_source(options.source) != SourceKind::checkpoint) {
    fail(ErrorCode::usage, "{}: only a checkpoint can be exported, this is {}", options.source,
         source_kind_name(detect_source(options.source)));
  }
  const ModelSource source = ModelSource::open(options.source);
  models::BuildOptions build;
  build.dtype = dtype;
  build.with_past = !options.no_past;
  const graph::Graph graph = source.graph(build);
  const std::filesystem::path folder = options.output;
  std::filesystem::create_directories(folder);
  onnx::WriteOptions write;
  write.opset = options.opset;
  write.max_ram = max_ram;
  write.producer_version = "0.1.0";
  std::optional<Progress> progress;
  std::uint64_t seen = 0;
  onnx::write(graph, folder / "model.onnx", write, [&](std::uint64_t done, std::uint64_t total) {
    if (!progress) progress.emplace("writing weights", total);
    progress->advance(done - seen);
    seen = done;
  });
  progress.reset();
  std::vector<std::string> copied;
  for (const auto& [name, bytes] : source.side_files()) {
    if (name == "params.json") continue;
    write_file(folder / name, bytes);
    copied.push_back(name);
  }
  if (common.json) {
    print_json({{"model", (folder / "model.onnx").string()},
                {"opset", options.opset},
                {"dtype", options.dtype},
                {"weight_bytes", seen},
                {"files", copied}});
    return;
  }
  fmt::print(stderr, "{}: opset {}, {}, {} of weights, and {} files beside it\n",
             (folder / "model.onnx").string(), options.opset, options.dtype, format_bytes(seen),
             copied.size());
}

}  // namespace

void add_export(CLI::App& program, Common& common, int&) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      add_subcommand(program, common, "export", "write a checkpoint as standard ONNX",
                     "tenon export Llama-2-7b-chat-hf llama2-onnx --dtype fp16");
  command->add_option("SRC", options->source, "checkpoint directory or file")->required();
  command->add_option("OUT_DIR", options->output, "folder to write to")->required();
  command->add_option("--opset", options->opset, "of the standard operators, 17 to 25")
      ->check(CLI::Range(17, 25));
  command->add_option("--dtype", options->dtype, "fp32, fp16 or bf16")
      ->check(CLI::IsMember({"fp32", "fp16", "bf16"}));
  command->add_option("--layout", options->layout, "names and files as optimum gives them")
      ->check(CLI::IsMember({"optimum"}));
  command->add_flag("--no-past", options->no_past, "without past_key_values and present");
  command->add_option("--max-ram", options->max_ram, "memory for weights on their way, e.g. 512M");
  command->callback([options, &common] { export_model(*options, common); });
}

}  // namespace tenon::apps
