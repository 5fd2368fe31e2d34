// Adds nodes to a graph under the names of a model's modules: constants, weights, and the layers
// that all architectures are made of.
#pragma once

#include <string>
#include <vector>

#include "models/model.h"

namespace tenon::models {

using graph::kNoValue;
using graph::ValueId;

/// "down_blocks.0.resnets.1" -> "/down_blocks.0/resnets.1", as exporters of PyTorch models name
/// nodes.
std::string module_path(const std::string& module);

/// Builds one graph; the weights outlive the builder. A weight's name is that of its module and
/// ".weight" or ".bias", its values are cast to the dtype of the options.
class ModuleBuilder {
 public:
  ModuleBuilder(const Weights& weights, const BuildOptions& options)
      : weights_(weights), options_(options) {}

  ValueId input(std::string_view name, DType dtype, DimShape shape) {
    return graph_.add_input(name, dtype, std::move(shape));
  }
  void output(ValueId value, std::string_view name) { graph_.mark_output(value, name); }
  /// The graph without what no output needs; the builder is spent.
  graph::Graph finish();

  ValueId node(const std::string& module, const char* op, std::vector<ValueId> inputs,
               Attributes attributes = {});
  /// A constant list, or a scalar.
  ValueId ints(const std::vector<std::int64_t>& values);
  ValueId scalar(std::int64_t value);
  ValueId scalar(float value, DType dtype = DType::f32);
  ValueId constant(const std::string& name, Tensor tensor);
  ValueId weight(const std::string& name, const Shape& shape);
  ValueId cast(const std::string& module, ValueId x, DType dtype);

  /// x W^T + b over the last axis, with W [out, in] as the source stores it.
  ValueId linear(const std::string& module, ValueId x, std::int64_t in, std::int64_t out,
                 bool bias = true);
  /// Over the last axis, of `width` elements; statistics in float32.
  ValueId layer_norm(const std::string& module, ValueId x, std::int64_t width, double epsilon);
  /// By the name that diffusers or transformers give it; `field` is the config's, for the error.
  ValueId activation(const std::string& module, const std::string& function, ValueId x,
                     const char* field);
  ValueId add(const std::string& module, ValueId a, ValueId b);
  ValueId multiply(const std::string& module, ValueId a, ValueId b);
  ValueId multiply(const std::string& module, ValueId a, float factor);
  ValueId concat(const std::string& module, std::vector<ValueId> parts, std::int64_t axis);
  ValueId transpose(const std::string& module, ValueId x, std::vector<std::int64_t> order);
  /// 0 keeps a size, -1 is what is left.
  ValueId reshape(const std::string& module, ValueId x, const std::vector<std::int64_t>& shape);
  /// Two halves of an axis that has 2 * size elements.
  std::pair<ValueId, ValueId> halves(const std::string& module, ValueId x, std::int64_t size,
                                     std::int64_t axis);
  /// Sizes [begin, end) of x as a vector.
  ValueId sizes(const std::string& module, ValueId x, std::int64_t begin, std::int64_t end);

  DType dtype() const { return options_.dtype; }
  const BuildOptions& options() const { return options_; }
  const graph::Value& value(ValueId id) const { return graph_.value(id); }

 private:
  const Weights& weights_;
  BuildOptions options_;
  graph::Graph graph_;
};

}  // namespace tenon::models
