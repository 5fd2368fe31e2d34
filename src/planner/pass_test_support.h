// A graph as text through one pass: what comes out, and whether it still computes the same.
#pragma once

#include <cmath>
#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "graph/op_schema.h"
#include "graph/text.h"
#include "passes/pass.h"
#include "planner/evaluate.h"

namespace tenon::planner {

using Run = int (*)(graph::Graph&, const passes::PassContext&);

/// Reproducible inputs for a graph: floats in [-1, 1), integers 0 to 2, symbols bound as given, 3
/// where they are not.
inline std::map<std::string, Tensor> random_inputs(const graph::Graph& graph,
                                                   const Dim::Bindings& sizes = {}) {
  std::mt19937 random(7);
  std::map<std::string, Tensor> inputs;
  for (const graph::ValueId id : graph.inputs()) {
    const graph::Value& value = graph.value(id);
    Dim::Bindings bound = sizes;
    for (const Dim& dim : value.shape) {
      for (const std::string& name : dim.symbols()) bound.emplace(name, 3);
    }
    const Shape shape = tenon::evaluate(value.shape, bound);
    if (is_float(value.dtype)) {
      Tensor numbers(DType::f32, shape);
      for (float& number : numbers.as<float>())
        number = static_cast<float>(random() % 4096) / 2048.0F - 1.0F;
      inputs.emplace(value.name, converted(numbers.view(), value.dtype));
    } else {
      Tensor numbers(DType::i64, shape);
      for (std::int64_t& number : numbers.as<std::int64_t>()) number = random() % 3;
      inputs.emplace(value.name, converted(numbers.view(), value.dtype));
    }
  }
  return inputs;
}

inline std::vector<Tensor> results_of(const graph::Graph& graph,
                                      const std::map<std::string, Tensor>& inputs) {
  std::map<graph::ValueId, Tensor> feeds;
  for (const graph::ValueId id : graph.inputs()) feeds.emplace(id, inputs.at(graph.value(id).name));
  return evaluate(graph, graph.outputs(), feeds);
}

/// Largest difference of any element, relative to 1 or the element, whichever is larger; infinite
/// when types or shapes differ or one is not a number where the other is.
inline double difference(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double largest = 0;
  if (a.size() != b.size()) return INFINITY;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].dtype() != b[i].dtype() || a[i].shape() != b[i].shape()) return INFINITY;
    const Tensor x = converted(a[i].view(), DType::f64);
    const Tensor y = converted(b[i].view(), DType::f64);
    for (std::size_t j = 0; j < static_cast<std::size_t>(x.count()); ++j) {
      const double p = x.as<double>()[j];
      const double q = y.as<double>()[j];
      if (std::isnan(p) && std::isnan(q)) continue;
      const double apart = std::abs(p - q) / std::max(1.0, std::abs(q));
      largest = std::isnan(apart) ? INFINITY : std::max(largest, apart);
    }
  }
  return largest;
}

/// The reference kernels sum in float64 and round once to float32 a node: a chain of a few dozen
/// nodes over numbers of the order of 1 stays well within this.
inline constexpr double kRounding = 64 * 0x1p-24;

struct Rewritten {
  int rewrites = 0;
  std::string text;
};

/// Runs the pass, tidies and verifies; expects names of inputs and outputs, and all results, to
/// stay.
inline Rewritten rewrite(Run pass, std::string_view text, const Dim::Bindings& sizes = {},
                         double tolerance = kRounding) {
  const graph::Graph before = graph::from_text(text);
  graph::Graph after = before;
  passes::PassContext context;
  context.evaluate = evaluate;
  Rewritten result;
  result.rewrites = pass(after, context);
  after.tidy();
  graph::verify(after);
  result.text = graph::to_text(after);
  const auto names = [](const graph::Graph& graph, const std::vector<graph::ValueId>& ids) {
    std::string joined;
    for (const graph::ValueId id : ids) {
      joined += graph.value(id).name;
      joined += ' ';
    }
    return joined;
  };
  EXPECT_EQ(names(after, after.inputs()), names(before, before.inputs()));
  EXPECT_EQ(names(after, after.outputs()), names(before, before.outputs()));
  const auto inputs = random_inputs(before, sizes);
  EXPECT_LE(difference(results_of(after, inputs), results_of(before, inputs)), tolerance);
  return result;
}

/// Ops of the nodes in order: "MatMul Add".
inline std::string ops_of(const std::string& text) {
  const graph::Graph graph = graph::from_text(text);
  std::string ops;
  for (const graph::NodeId id : graph.order()) {
    if (!ops.empty()) ops += ' ';
    ops += graph.node(id).op->name;
  }
  return ops;
}

/// The pass must find nothing in this text.
inline void expect_left_alone(Run pass, std::string_view text) {
  const Rewritten result = rewrite(pass, text, {}, 0);
  EXPECT_EQ(result.rewrites, 0) << result.text;
  EXPECT_EQ(result.text, graph::to_text(graph::from_text(text)));
}

}  // namespace tenon::planner
