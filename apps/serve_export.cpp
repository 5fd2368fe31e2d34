#include "serve_export.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/ranges.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/version.h"
#include "model_source.h"
#include "onnx/writer.h"
#include "picture_layout.h"
#include "serving/data_type.h"
#include "serving/model_registry.h"
#include "serving/repository/config_text.h"

namespace tenon::apps {
namespace {

namespace fs = std::filesystem;
using inference::ModelConfig;

constexpr int kMaxBatch = 8;

struct Part {
  std::string name;
  graph::Graph graph;
  bool batches;  // rows of the first dimension do not depend on each other
};

// Smallest, usual and largest size of a dimension that requests choose.
struct Range {
  std::string_view word;  // in the name of the dimension
  std::array<std::int64_t, 3> sizes;
};
constexpr Range kRanges[] = {
    {"batch", {1, 1, kMaxBatch}}, {"past", {0, 128, 1024}}, {"sequence", {1, 128, 1024}},
    {"height", {8, 64, 128}},     {"width", {8, 64, 128}},  {"", {1, 64, 512}},
};

// Whether all begin with the same size that requests choose, with others behind it: without those
// Triton needs a reshape.
bool shares_batch(const graph::Graph& graph) {
  std::set<std::string> first;
  const auto look = [&](graph::ValueId id) {
    const auto& shape = graph.value(id).shape;
    const auto names = shape.size() < 2 ? std::vector<std::string>{} : shape[0].symbols();
    first.insert(
        shape.size() > 1 && names.size() == 1 && shape[0] == Dim::symbol(names[0]) ? names[0] : "");
  };
  for (const auto id : graph.inputs()) look(id);
  for (const auto id : graph.outputs()) look(id);
  return first.size() == 1 && !first.contains("");
}

template <typename Tensor>
void describe(const graph::Value& value, bool batches, Tensor& tensor) {
  tensor.set_name(value.name);
  tensor.set_data_type(serving::data_type(value.dtype));
  for (std::size_t i = batches ? 1 : 0; i < value.shape.size(); ++i)
    tensor.add_dims(value.shape[i].constant().value_or(-1));
  if (tensor.dims_size() > 0) return;
  tensor.add_dims(1);  // Triton's way to say that there is one number
  tensor.mutable_reshape();
}

ModelConfig config_of(const Part& part, bool plan) {
  ModelConfig config;
  config.set_name(part.name);
  if (plan) {
    config.set_platform("tensorrt_plan");
  } else {
    config.set_backend("onnxruntime");
  }
  config.set_default_model_filename(plan ? "model.plan" : "model.onnx");
  const bool batches = part.batches && shares_batch(part.graph);
  config.set_max_batch_size(batches ? kMaxBatch : 0);
  if (batches) config.mutable_dynamic_batching();
  for (const auto id : part.graph.inputs())
    describe(part.graph.value(id), batches, *config.add_input());
  for (const auto id : part.graph.outputs())
    describe(part.graph.value(id), batches, *config.add_output());
  return config;
}

std::string shapes(const graph::Graph& graph, std::size_t which) {
  std::vector<std::string> found;
  for (const auto id : graph.inputs()) {
    const auto& value = graph.value(id);
    std::vector<std::string> sizes;
    for (const Dim& dim : value.shape) {
      Dim::Bindings bindings;
      for (const std::string& name : dim.symbols()) {
        const auto* const range = std::find_if(
            std::begin(kRanges), std::end(kRanges),
            [&](const Range& one) { return name.find(one.word) != std::string::npos; });
        bindings[name] = range->sizes[which];
      }
      sizes.push_back(std::to_string(dim.evaluate(bindings)));
    }
    if (!sizes.empty()) found.push_back(fmt::format("{}:{}", value.name, fmt::join(sizes, "x")));
  }
  return fmt::format("{}", fmt::join(found, ","));
}

bool is_dynamic(const graph::Graph& graph) {
  return std::any_of(graph.inputs().begin(), graph.inputs().end(), [&](graph::ValueId id) {
    const auto& shape = graph.value(id).shape;
    return std::any_of(shape.begin(), shape.end(),
                       [](const Dim& dim) { return !dim.constant().has_value(); });
  });
}

std::string plan_command(const Part& part) {
  std::string text =
      fmt::format("trtexec --onnx={0}/onnx/model.onnx --saveEngine={0}/1/model.plan", part.name);
  if (is_dynamic(part.graph)) {
    text += fmt::format(" \\\n  --minShapes={} \\\n  --optShapes={} \\\n  --maxShapes={}",
                        shapes(part.graph, 0), shapes(part.graph, 1), shapes(part.graph, 2));
  }
  return text;
}

constexpr const char* kReadme = R"(# Models for Triton's TensorRT backend

A plan runs only on the kind of GPU and the version of TensorRT that it was built with. Build them in this folder on
the machine that serves, with the TensorRT of the server; change the shapes to the sizes that requests will have.

```
{}
```

Without plans, the ONNX files run in Triton's ONNX Runtime backend over TensorRT: move `MODEL/onnx/*` to `MODEL/1/`, and in
config.pbtxt put in place of `platform` and `default_model_filename`

```
backend: "onnxruntime"
optimization {{
  execution_accelerators {{
    gpu_execution_accelerator {{
      name: "tensorrt"
      parameters {{ key: "trt_engine_cache_enable" value: "true" }}
      parameters {{ key: "trt_engine_cache_path" value: "/tmp" }}
    }}
  }}
}}
```
)";

// Beside its final name until it is whole.
class NewFolder {
 public:
  explicit NewFolder(fs::path target) : target_(std::move(target)) {
    if (!target_.has_filename()) target_ = target_.parent_path();
    if (fs::exists(target_))
      fail(ErrorCode::usage, "{}: is there already; name a new folder", target_.string());
    std::string name = target_.string() + ".partial-XXXXXX";
    if (target_.has_parent_path()) fs::create_directories(target_.parent_path());
    if (::mkdtemp(name.data()) == nullptr)
      fail(ErrorCode::resource, "{}: cannot be made", target_.string());
    path_ = name;
    fs::permissions(path_, fs::perms(0755));
  }
  ~NewFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;
  const fs::path& path() const { return path_; }
  void commit() {
    fs::rename(path_, target_);
    path_.clear();
  }

 private:
  fs::path target_;
  fs::path path_;
};

void write_part(const Part& part, const fs::path& folder, bool plan) {
  const fs::path model = folder / part.name;
  const fs::path onnx = model / (plan ? "onnx" : "1");
  fs::create_directories(onnx);
  fs::create_directories(model / "1");
  onnx::WriteOptions options;
  options.producer_version = version();
  onnx::write(part.graph, onnx / "model.onnx", options,
              [](std::uint64_t, std::uint64_t) { check_interrupt(); });
  write_file(model / "config.pbtxt", serving::config_text(config_of(part, plan)));
}

// All of a source at once: what is not supported shows before much is written.
std::vector<Part> parts_of(const std::string& given, DType dtype) {
  const auto [name, named, path] = named_source(given);
  const ModelSource source = ModelSource::open(path);
  if (!serving::is_model_name(name))
    fail(ErrorCode::usage, "\"{}\" cannot be the name of a model: give one with NAME=SRC", name);
  std::vector<Part> parts;
  const bool ours = source.kind() == SourceKind::checkpoint;
  if (source.draws()) {
    for (const std::string& part : source.parts()) {
      parts.push_back({name + "_" + part,
                       graph_in_layout(source, part, PictureLayout::diffusers, dtype), ours});
    }
    return parts;
  }
  models::BuildOptions build;
  build.dtype = dtype;
  parts.push_back({name, source.graph(build), ours});
  return parts;
}

}  // namespace

void add_triton_flags(CLI::App& command, TritonFlags& flags) {
  command.add_option("--export-triton", flags.folder,
                     "serve nothing: write the models as a repository for Triton into this new "
                     "folder");
  command
      .add_option("--export-triton-backend", flags.backend,
                  "onnxruntime, or tensorrt: with the commands that build the plans")
      ->check(CLI::IsMember({"onnxruntime", "tensorrt"}))
      ->capture_default_str();
  command.add_option("--export-triton-dtype", flags.dtype, "of checkpoints: fp32 or fp16")
      ->check(CLI::IsMember({"fp32", "fp16"}))
      ->capture_default_str();
}

Json export_triton(const std::vector<std::string>& sources, const TritonFlags& flags) {
  const bool plan = flags.backend == "tensorrt";
  NewFolder folder(flags.folder);
  std::set<std::string> names;
  std::vector<std::string> commands;
  for (const std::string& source : sources) {
    for (const Part& part : parts_of(source, parse_dtype(flags.dtype))) {
      if (!names.insert(part.name).second)
        fail(ErrorCode::usage, "two models have the name {}: give one another name with NAME=SRC",
             part.name);
      write_part(part, folder.path(), plan);
      commands.push_back(plan_command(part));
    }
  }
  if (plan) {
    write_file(folder.path() / "README.md", fmt::format(kReadme, fmt::join(commands, "\n")));
  }
  folder.commit();
  return {{"folder", flags.folder}, {"backend", flags.backend}, {"models", names}};
}

}  // namespace tenon::apps
