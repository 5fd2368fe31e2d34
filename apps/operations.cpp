#include "operations.h"

namespace tenon::apps {
namespace {

using engine::Engine;
using engine::Step;

const engine::Value& operand(const Engine& engine, engine::ValueIndex index) {
  return engine.values[static_cast<std::size_t>(index)];
}

double count(const Engine& engine, engine::ValueIndex index, const Dim::Bindings& sizes) {
  return static_cast<double>(element_count(evaluate(operand(engine, index).shape, sizes)));
}

// Every output is a sum over the rows of the weight, [depth, columns] in products and convolutions
// alike.
double product_operations(const Engine& engine, const Step& step, const Dim::Bindings& sizes) {
  const Shape weight = evaluate(operand(engine, step.inputs[1]).shape, sizes);
  if (weight.size() < 2) return 0;
  return 2 * count(engine, step.outputs[0], sizes) * static_cast<double>(weight[weight.size() - 2]);
}

double plain_convolution(const Engine& engine, const Step& step, const Dim::Bindings& sizes) {
  const Shape weight = evaluate(operand(engine, step.inputs[1]).shape, sizes);
  return 2 * count(engine, step.outputs[0], sizes) *
         static_cast<double>(element_count(weight) / weight[0]);
}

// Scores and their sum over the values: each query element meets every key twice.
double attention_operations(const Engine& engine, const Step& step, const Dim::Bindings& sizes) {
  const Shape keys = evaluate(operand(engine, step.inputs[1]).shape, sizes);
  const double tokens = static_cast<double>(keys[keys.size() - 2]);
  return 4 * count(engine, step.outputs[0], sizes) * tokens;
}

}  // namespace

double operations(const Engine& engine, const Dim::Bindings& sizes) {
  double sum = 0;
  for (const Step& step : engine.steps) {
    if (step.op == "tenon.Linear" || step.op == "tenon.Conv" || step.op == "MatMul")
      sum += product_operations(engine, step, sizes);
    if (step.op == "Conv") sum += plain_convolution(engine, step, sizes);
    if (step.op == "tenon.Attention") sum += attention_operations(engine, step, sizes);
  }
  return sum;
}

double peak_of(const MachineLimits& limits, std::string_view precision) {
  if (precision == "int8") return limits.int8_ops;
  return precision == "bf16" && limits.bf16_flops > 0 ? limits.bf16_flops : limits.fp32_flops;
}

}  // namespace tenon::apps
