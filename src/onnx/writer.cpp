#include "onnx/writer.h"

#include <limits>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "graph/op_schema.h"
#include "onnx-ml.pb.h"
#include "onnx/lowering.h"
#include "onnx/types.h"
#include "onnx/weight_file.h"

namespace tenon::onnx {

namespace fs = std::filesystem;
using graph::Graph;
using graph::Value;
using graph::ValueId;

namespace {

constexpr std::uint64_t kProtobufLimit = std::numeric_limits<std::int32_t>::max();

void check_options(const fs::path& file, const WriteOptions& options) {
  if (options.opset < kOldestWritten || options.opset > kNewest) {
    fail(ErrorCode::usage, "opset {} cannot be written; one from {} to {} was expected",
         options.opset, kOldestWritten, kNewest);
  }
  const fs::path name(options.external_name);
  if (options.external_data &&
      (name.empty() || name.filename() != name || name == "." || name == "..")) {
    fail(ErrorCode::usage, "external data \"{}\" must be a plain file name", options.external_name);
  }
  if (options.external_data && name == file.filename()) {
    fail(ErrorCode::usage, "the model and its external data are both named {}", name.string());
  }
}

void write_value_info(const Value& value, ::onnx::ValueInfoProto& out) {
  out.set_name(value.name);
  auto& type = *out.mutable_type()->mutable_tensor_type();
  type.set_elem_type(static_cast<int>(onnx_type(value.dtype)));
  write_shape(value.shape, *type.mutable_shape());
}

// Constants that nodes or outputs read, each once, in the order of first use.
std::vector<ValueId> used_constants(const Graph& graph) {
  std::vector<ValueId> used;
  std::set<ValueId> seen;
  const auto visit = [&](ValueId id) {
    if (graph.is_constant(id) && seen.insert(id).second) used.push_back(id);
  };
  for (const graph::NodeId id : graph.order()) {
    for (const ValueId input : graph.node(id).inputs) visit(input);
  }
  for (const ValueId output : graph.outputs()) visit(output);
  return used;
}

// One file on its way: the description in memory, the weights on disk already.
class Writer {
 public:
  Writer(const Graph& graph, const fs::path& file, const WriteOptions& options,
         const WriteProgress& progress)
      : graph_(graph), file_(file), options_(options), progress_(progress) {}

  void run() {
    write_header();
    Emitter emitter(graph_, options_.opset, *model_.mutable_graph());
    write_nodes(emitter);
    write_values();
    write_constants(emitter);
    commit();
  }

 private:
  void write_header() {
    model_.set_ir_version(ir_version_for(options_.opset));
    model_.set_producer_name(options_.producer);
    model_.set_producer_version(options_.producer_version);
    model_.add_opset_import()->set_version(options_.opset);
    model_.mutable_graph()->set_name(graph_.name.empty() ? "model" : graph_.name);
    for (const auto& [key, value] : options_.metadata) {
      auto& entry = *model_.add_metadata_props();
      entry.set_key(key);
      entry.set_value(value);
    }
  }

  void write_nodes(Emitter& emitter) {
    for (const graph::NodeId id : graph_.order()) {
      const graph::Node& node = graph_.node(id);
      with_context(fmt::format("node {}", node.name), [&] {
        NodeEmitter one(emitter, node);
        write_node(one);
      });
    }
  }

  void write_values() {
    auto& out = *model_.mutable_graph();
    for (const ValueId id : graph_.inputs()) write_value_info(graph_.value(id), *out.add_input());
    for (const ValueId id : graph_.outputs()) write_value_info(graph_.value(id), *out.add_output());
    if (!options_.value_shapes) return;
    for (const graph::NodeId id : graph_.order()) {
      for (const ValueId output : graph_.node(id).outputs) {
        if (output == graph::kNoValue || graph_.is_output(output)) continue;
        write_value_info(graph_.value(output), *out.add_value_info());
      }
    }
  }

  void write_constants(Emitter& emitter) {
    const std::vector<ValueId> constants = used_constants(graph_);
    for (const ValueId id : constants) {
      const std::uint64_t bytes = byte_count(*graph_.value(id).constant);
      total_ += bytes;
      if (!is_external(bytes)) inside_ += bytes;
    }
    if (inside_ > kProtobufLimit) {
      Error error(ErrorCode::bad_input,
                  fmt::format("{} of weights do not fit into one ONNX file of at most 2 GB",
                              format_bytes(inside_)));
      throw error.hint("write the weights as external data");
    }
    check_space(total_ - inside_);
    for (const ValueId id : constants) {
      check_interrupt();
      const Value& value = graph_.value(id);
      with_context(fmt::format("constant {}", value.name), [&] { write_constant(emitter, value); });
    }
  }

  // Known before hours of writing rather than after.
  void check_space(std::uint64_t bytes) const {
    const fs::path folder = file_.has_parent_path() ? file_.parent_path() : fs::path(".");
    std::error_code error;
    const fs::space_info space = fs::space(folder, error);
    if (error || bytes <= space.available) return;
    Error failure(ErrorCode::resource,
                  fmt::format("{} of weights do not fit into {}, which has {} free",
                              format_bytes(bytes), folder.string(), format_bytes(space.available)));
    throw failure.hint("free space on that disk or choose another output folder");
  }

  bool is_external(std::uint64_t bytes) const {
    return options_.external_data && bytes > 0 && bytes >= options_.external_threshold;
  }

  void write_constant(Emitter& emitter, const Value& value) {
    const TensorSource& source = *value.constant;
    std::string name = value.name;
    if (is_result(value)) name = write_as_result(emitter, value.name);
    auto& out = *model_.mutable_graph()->add_initializer();
    out.set_name(name);
    out.set_data_type(static_cast<int>(onnx_type(value.dtype)));
    for (const std::int64_t dim : source.shape()) out.add_dims(dim);
    const std::uint64_t bytes = byte_count(source);
    if (!is_external(bytes)) {
      std::string& data = *out.mutable_raw_data();
      data.reserve(bytes);
      stream(source, options_.max_ram, [&](std::span<const std::byte> block) {
        data.append(reinterpret_cast<const char*>(block.data()), block.size());
      });
      return report(bytes);
    }
    write_external(value.constant, out);
  }

  bool is_result(const Value& value) const {
    const auto id = graph_.find_value(value.name);
    return id && graph_.is_output(*id);
  }

  // A constant that is an output: ONNX wants an output to be computed.
  std::string write_as_result(Emitter& emitter, const std::string& name) {
    const std::string inner = emitter.unique_value(name + "/constant");
    for (auto& node : *model_.mutable_graph()->mutable_node()) {
      for (auto& input : *node.mutable_input()) {
        if (input == name) input = inner;
      }
    }
    auto& node = *model_.mutable_graph()->add_node();
    node.set_op_type("Identity");
    node.set_name(emitter.unique_node("/" + name + "/Identity"));
    node.add_input(inner);
    node.add_output(name);
    return inner;
  }

  void write_external(const SourcePtr& source, ::onnx::TensorProto& out) {
    if (!weights_) {
      weights_ = std::make_unique<WeightFile>(file_.parent_path() / options_.external_name,
                                              options_.max_ram,
                                              [this](std::uint64_t bytes) { report(bytes); });
    }
    const WeightFile::Place place = weights_->append(source);
    out.set_data_location(::onnx::TensorProto::EXTERNAL);
    const auto add = [&](const char* key, std::string value) {
      auto& entry = *out.add_external_data();
      entry.set_key(key);
      entry.set_value(std::move(value));
    };
    add("location", options_.external_name);
    add("offset", std::to_string(place.offset));
    add("length", std::to_string(place.length));
  }

  void report(std::uint64_t bytes) {
    done_ += bytes;
    if (progress_) progress_(done_, total_);
  }

  void commit() {
    if (model_.ByteSizeLong() > kProtobufLimit) {
      bad_input("the description of the graph takes {}, an ONNX file holds at most 2 GB",
                format_bytes(model_.ByteSizeLong()));
    }
    const std::string bytes = model_.SerializeAsString();
    AtomicFile description(file_);
    description.write(bytes);
    if (weights_) weights_->commit();
    description.commit();
  }

  const Graph& graph_;
  const fs::path& file_;
  const WriteOptions& options_;
  const WriteProgress& progress_;
  ::onnx::ModelProto model_;
  std::unique_ptr<WeightFile> weights_;
  std::uint64_t total_ = 0;
  std::uint64_t inside_ = 0;
  std::uint64_t done_ = 0;
};

}  // namespace

void write(const Graph& graph, const fs::path& file, const WriteOptions& options,
           const WriteProgress& progress) {
  check_options(file, options);
  with_context(file.string(), [&] { Writer(graph, file, options, progress).run(); });
}

}  // namespace tenon::onnx
