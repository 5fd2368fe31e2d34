// Appends nodes and small constants to the ONNX graph that is being written.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace onnx {
class GraphProto;
class NodeProto;
}  // namespace onnx

namespace tenon::onnx {

/// What all nodes of one file share: the target opset and the names that are taken.
class Emitter {
 public:
  Emitter(const graph::Graph& graph, int opset, ::onnx::GraphProto& out);

  int opset() const noexcept { return opset_; }
  const graph::Graph& graph() const noexcept { return graph_; }
  ::onnx::GraphProto& out() noexcept { return out_; }

  std::string unique_value(std::string_view wanted);
  std::string unique_node(std::string_view wanted);
  /// Name of an initializer with these elements; equal ones are one initializer.
  std::string constant(const Tensor& tensor);

 private:
  const graph::Graph& graph_;
  int opset_;
  ::onnx::GraphProto& out_;
  std::set<std::string, std::less<>> values_;
  std::map<std::string, int, std::less<>> nodes_;
  std::map<std::string, std::string, std::less<>> constants_;
};

/// Writes one node of the graph as one or more ONNX nodes. Short-lived.
class NodeEmitter {
 public:
  NodeEmitter(Emitter& file, const graph::Node& node);

  int opset() const noexcept { return file_.opset(); }
  const graph::Node& node() const noexcept { return node_; }
  const Attributes& attributes() const noexcept { return node_.attributes; }

  std::size_t input_count() const noexcept { return node_.inputs.size(); }
  bool has_input(std::size_t index) const;
  /// Name of the input's value, "" when it is left out.
  std::string input(std::size_t index) const;
  const graph::Value& input_value(std::size_t index) const;
  std::vector<std::string> inputs() const;
  std::vector<std::string> outputs() const;
  const graph::Value& output_value(std::size_t index) const;
  /// The integers of a constant input; Error(bad_input) when the opset needs them fixed and they
  /// are not.
  std::vector<std::int64_t> fixed_ints(std::size_t index) const;

  /// Adds a node with one output and gives the output's name.
  std::string add(std::string_view op, std::vector<std::string> inputs,
                  const Attributes& attributes = {});
  /// The same with several outputs.
  std::vector<std::string> add_many(std::string_view op, std::vector<std::string> inputs,
                                    const Attributes& attributes, std::size_t count);
  /// Adds the node that writes the outputs of the graph's node. Where ONNX wants more outputs than
  /// the graph does, the first `least_outputs` get names of their own.
  void finish(std::string_view op, std::vector<std::string> inputs,
              const Attributes& attributes = {}, std::size_t least_outputs = 1);
  /// Hangs a tensor on the node that `finish` added.
  void set_tensor_attribute(std::string_view name, const Tensor& tensor);

  std::string tensor(const Tensor& tensor) { return file_.constant(tensor); }
  std::string scalar(DType type, double value);
  std::string ints(std::span<const std::int64_t> values);
  std::string ints(std::initializer_list<std::int64_t> values) {
    return ints(std::span(values.begin(), values.size()));
  }
  /// The value in another element type; itself when it is that already.
  std::string cast(std::string value, DType from, DType to);
  /// The reduction over `axes` with kept dimensions, in the form that the opset wants.
  std::string reduce(std::string_view op, std::string value, std::span<const std::int64_t> axes);
  /// A 1-D int64 value that holds the shape of input `index`.
  std::string shape_of(std::size_t index);

 private:
  void append(std::string_view op, std::string name, const std::vector<std::string>& inputs,
              const Attributes& attributes, const std::vector<std::string>& outputs);

  Emitter& file_;
  const graph::Node& node_;
  std::string name_;  // of the whole; parts hang below it
};

/// `/model/layers.0/self_attn/MatMul` from `model.layers.0.self_attn` and the operator: numbers
/// stay with the list that they index. A name that is a path already is kept.
std::string node_path(const graph::Node& node);

}  // namespace tenon::onnx
