// Gelu, Swish and Mish out of older functions.
#include <numbers>

#include "base/error.h"
#include "onnx/lowering.h"

namespace tenon::onnx {

// none: x * (0.5 * (1 + erf(x / sqrt(2)))); tanh: x * (0.5 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715
// x^3))))
void lower_gelu(NodeEmitter& emitter) {
  const DType type = emitter.input_value(0).dtype;
  const std::string x = emitter.input(0);
  std::string inner;
  if (emitter.attributes().get_string("approximate", "none") == "tanh") {
    const std::string cube = emitter.add("Mul", {x, emitter.add("Mul", {x, x})});
    const std::string small = emitter.add("Mul", {cube, emitter.scalar(type, 0.044715)});
    const std::string sum = emitter.add("Add", {x, small});
    const double factor = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
    inner = emitter.add("Tanh", {emitter.add("Mul", {sum, emitter.scalar(type, factor)})});
  } else {
    inner =
        emitter.add("Erf", {emitter.add("Div", {x, emitter.scalar(type, std::numbers::sqrt2)})});
  }
  const std::string gate = emitter.add("Add", {inner, emitter.scalar(type, 1)});
  const std::string half = emitter.add("Mul", {gate, emitter.scalar(type, 0.5)});
  emitter.finish("Mul", {x, half});
}

// x * sigmoid(alpha * x)
void lower_swish(NodeEmitter& emitter) {
  const DType type = emitter.input_value(0).dtype;
  const float alpha = emitter.attributes().get_float("alpha", 1.0F);
  std::string x = emitter.input(0);
  if (alpha != 1.0F) x = emitter.add("Mul", {x, emitter.scalar(type, alpha)});
  emitter.finish("Mul", {emitter.input(0), emitter.add("Sigmoid", {x})});
}

// x * tanh(softplus(x))
void lower_mish(NodeEmitter& emitter) {
  if (emitter.input_value(0).dtype == DType::bf16) {
    bad_input("Mish of bfloat16 came with opset 22, the file is to have opset {}", emitter.opset());
  }
  const std::string soft = emitter.add("Softplus", {emitter.input(0)});
  emitter.finish("Mul", {emitter.input(0), emitter.add("Tanh", {soft})});
}

}  // namespace tenon::onnx
