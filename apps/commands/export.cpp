// tenon export: a checkpoint becomes an ONNX folder as optimum or diffusers lay it out.
#include <fmt/ranges.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/version.h"
#include "commands/commands.h"
#include "model_source.h"
#include "onnx/weight_file.h"
#include "onnx/writer.h"
#include "picture_layout.h"

namespace tenon::apps {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string source;
  std::string output;
  int opset = 17;
  std::string dtype = "fp32";
  std::string layout = "optimum";
  bool no_past = false;
  std::string embeddings;
  std::string max_ram = "1G";
};

ModelSource open_checkpoint(const Options& options) {
  const SourceKind kind = detect_source(options.source);
  if (kind != SourceKind::checkpoint) {
    fail(ErrorCode::usage, "{}: only a checkpoint can be exported, this is {}", options.source,
         source_kind_name(kind));
  }
  return ModelSource::open(options.source, models::parse_pooling(options.embeddings));
}

onnx::WriteOptions write_options(const Options& options) {
  onnx::WriteOptions write;
  write.opset = options.opset;
  write.max_ram = parse_bytes(options.max_ram);
  write.producer_version = version();
  return write;
}

// Bytes of weights over all files, as they are written.
class WeightCount {
 public:
  explicit WeightCount(std::uint64_t total) : progress_("writing weights", total) {}

  onnx::WriteProgress next_file() {
    seen_ = 0;
    return [this](std::uint64_t done, std::uint64_t) {
      progress_.advance(done - seen_);
      written_ += done - seen_;
      seen_ = done;
    };
  }
  std::uint64_t written() const { return written_; }

 private:
  Progress progress_;
  std::uint64_t seen_ = 0;
  std::uint64_t written_ = 0;
};

std::uint64_t weight_bytes(const graph::Graph& graph) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    const auto id = static_cast<graph::ValueId>(i);
    if (graph.is_constant(id)) total += onnx::byte_count(*graph.value(id).constant);
  }
  return total;
}

void export_text(const ModelSource& source, const Options& options, const Common& common) {
  if (options.layout != "optimum")
    fail(ErrorCode::usage, "layout {} is one of picture models, this is none", options.layout);
  models::BuildOptions build;
  build.dtype = parse_dtype(options.dtype);
  build.with_past = !options.no_past;
  const graph::Graph graph = source.graph(build);
  const fs::path folder = options.output;
  fs::create_directories(folder);
  WeightCount count(weight_bytes(graph));
  onnx::write(graph, folder / "model.onnx", write_options(options), count.next_file());
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
                {"weight_bytes", count.written()},
                {"files", copied}});
    return;
  }
  fmt::print(stderr, "{}: opset {}, {}, {} of weights, and {} files beside it\n",
             (folder / "model.onnx").string(), options.opset, options.dtype,
             format_bytes(count.written()), copied.size());
}

// Weights of a part go inside its file where that stays within memory (the description and its
// serialized bytes exist at once) and within what a protobuf file holds.
onnx::WriteOptions write_options(const Options& options, const std::string& part,
                                 std::uint64_t bytes) {
  onnx::WriteOptions write = write_options(options);
  const bool script = options.layout == "diffusers";
  if (script) write.external_name = "weights.pb";
  constexpr std::uint64_t kMostInside = std::uint64_t{1900} << 20;
  const bool always_outside = script && part == "unet";
  write.external_data = always_outside || bytes > std::min(kMostInside, write.max_ram / 2);
  return write;
}

void refuse_own_folder(const Options& options) {
  std::error_code error;
  if (!fs::equivalent(options.source, options.output, error) || error) return;
  fail(ErrorCode::usage, "{}: the model cannot be exported into its own folder", options.output);
}

void export_pictures(const ModelSource& source, const Options& options, const Common& common) {
  if (options.no_past) fail(ErrorCode::usage, "--no-past is for models of text");
  refuse_own_folder(options);
  const PictureLayout layout = parse_picture_layout(options.layout);
  const fs::path folder = options.output;
  // All graphs first: what is not supported shows before anything is written.
  std::map<std::string, graph::Graph> graphs;
  std::uint64_t total = 0;
  for (const std::string& part : source.parts()) {
    const auto& graph =
        graphs.emplace(part, graph_in_layout(source, part, layout, parse_dtype(options.dtype)))
            .first->second;
    total += weight_bytes(graph);
  }
  WeightCount count(total);
  Json parts = Json::array();
  for (const std::string& part : source.parts()) {
    const graph::Graph& graph = graphs.at(part);
    const fs::path file = folder / part / "model.onnx";
    fs::create_directories(file.parent_path());
    const std::uint64_t bytes = weight_bytes(graph);
    onnx::write(graph, file, write_options(options, part, bytes), count.next_file());
    parts.push_back({{"part", part}, {"model", file.string()}, {"weight_bytes", bytes}});
  }
  std::vector<std::string> written;
  for (const auto& [name, bytes] : files_in_layout(source, layout)) {
    fs::create_directories((folder / name).parent_path());
    write_file(folder / name, bytes);
    written.push_back(name);
  }
  if (common.json) {
    print_json({{"parts", parts},
                {"layout", options.layout},
                {"opset", options.opset},
                {"dtype", options.dtype},
                {"weight_bytes", count.written()},
                {"files", written}});
    return;
  }
  fmt::print(stderr, "{}: {} in the layout of {}, opset {}, {}, {} of weights, and {} files\n",
             folder.string(), fmt::join(source.parts(), ", "), options.layout, options.opset,
             options.dtype, format_bytes(count.written()), written.size());
}

void export_model(const Options& options, const Common& common) {
  parse_bytes(options.max_ram);
  const ModelSource source = open_checkpoint(options);
  if (source.draws()) return export_pictures(source, options, common);
  export_text(source, options, common);
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
  command
      ->add_option("--layout", options->layout,
                   "names and files of optimum, or of diffusers' script (pictures: batched "
                   "timestep, int32 ids, the mean for a sample)")
      ->check(CLI::IsMember({"optimum", "diffusers"}));
  command->add_flag("--no-past", options->no_past, "without past_key_values and present");
  command
      ->add_option("--embeddings", options->embeddings,
                   "input_ids and attention_mask in, sentence_embedding out in place of logits: "
                   "the last states, pooled: mean (over the tokens) or last (that of the last "
                   "token); not normalised")
      ->check(CLI::IsMember({"mean", "last"}));
  command->add_option("--max-ram", options->max_ram, "memory for weights on their way, e.g. 512M");
  command->callback([options, &common] { export_model(*options, common); });
}

}  // namespace tenon::apps
