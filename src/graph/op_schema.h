// What an operation is: its name, arity, attributes and inference; a row of data, not a class.
#pragma once

#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace tenon::graph {

/// What inference sees of one node and what it must fill.
class InferenceContext {
 public:
  InferenceContext(const Graph& graph, const Node& node, std::vector<Constraint>& constraints)
      : graph_(graph), node_(node), constraints_(constraints), outputs_(node.outputs.size()) {}

  std::size_t input_count() const { return node_.inputs.size(); }
  bool has_input(std::size_t index) const {
    return index < node_.inputs.size() && node_.inputs[index] != kNoValue;
  }
  /// Error(bad_input) when it is absent.
  const Value& input(std::size_t index) const;
  std::size_t output_count() const { return outputs_.size(); }
  bool has_output(std::size_t index) const {
    return index < node_.outputs.size() && node_.outputs[index] != kNoValue;
  }
  const Attributes& attributes() const { return node_.attributes; }

  /// The elements of an integer input as dims: known content or a constant; Error(bad_input) "must
  /// be computable from shapes" when they are not known.
  std::vector<Dim> content(std::size_t index) const;
  std::optional<std::vector<Dim>> try_content(std::size_t index) const;
  /// A known content whose elements are all numbers.
  std::vector<std::int64_t> numbers(std::size_t index) const;

  struct Output {
    DType dtype = DType::f32;
    DimShape shape;
    std::optional<std::vector<Dim>> content;
  };
  void set_output(std::size_t index, DType dtype, DimShape shape) {
    outputs_.at(index) = {dtype, std::move(shape), std::nullopt};
  }
  void set_content(std::size_t index, std::vector<Dim> content);
  const std::vector<Output>& outputs() const { return outputs_; }

  /// The one dim that two must be: throws when they differ as numbers; records a constraint when
  /// only a run can tell; prefers the number, then the simpler expression.
  Dim require_equal(const Dim& a, const Dim& b);
  /// Numpy broadcasting of two shapes under the same rule.
  DimShape broadcast(const DimShape& a, const DimShape& b);
  /// Axis in [-rank, rank) made non-negative; throws otherwise.
  static std::size_t axis(std::int64_t axis, std::size_t rank);

 private:
  const Graph& graph_;
  const Node& node_;
  std::vector<Constraint>& constraints_;
  std::vector<Output> outputs_;
};

using Infer = void (*)(InferenceContext&);
inline constexpr int kAnyNumber = std::numeric_limits<int>::max();

struct OpSchema {
  std::string_view name;  ///< ONNX's name; "tenon." begins the ones that only passes make
  int since_opset;        ///< first ONNX opset whose meaning this is; 0 for tenon.*
  int min_inputs, max_inputs;
  int min_outputs, max_outputs;
  std::vector<std::string_view> attributes;  ///< all that are known; others are refused
  Infer infer;
};

/// Error(bad_input) "operator X is not supported" for an unknown name.
const OpSchema& find_op(std::string_view name);
bool has_op(std::string_view name) noexcept;
/// ONNX's number of an element type, as attributes "to" and "dtype" hold it. Error(bad_input) names
/// the types that are not supported (strings, complex, unsigned 16 to 64, 8 and 4 bit floats).
DType dtype_from_onnx(std::int64_t number);
std::int64_t dtype_to_onnx(DType type) noexcept;

/// All ops, family by family.
std::span<const OpSchema* const> all_ops();

}  // namespace tenon::graph
