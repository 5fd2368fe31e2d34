#include "kernels/cpu/activation/reference.h"

#include <cmath>
#include <numbers>

#include "kernels/cpu/any_float.h"

namespace tenon::kernels::cpu::activation {
namespace {

constexpr std::int64_t kGrain = 4096;

double gelu(double x) { return 0.5 * x * std::erfc(-x / std::numbers::sqrt2); }

double gelu_tanh(double x) {
  const double inner = std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  // 0.5 (1 + tanh(u)) = 1 / (1 + exp(-2u)), without the cancellation at large negative u.
  return x / (1.0 + std::exp(-2.0 * inner));
}

double swish(double x, double alpha) { return x / (1.0 + std::exp(-alpha * x)); }

template <typename Function>
BoundKernel map_elements(Function function) {
  return [function](const Invocation& call) {
    const FloatReader x(call.inputs[0]);
    const FloatWriter y(call.outputs[0]);
    call.pool->parallel_for(call.inputs[0].count(), kGrain,
                            [&](std::int64_t begin, std::int64_t end) {
                              for (std::int64_t i = begin; i < end; ++i) y.set(i, function(x[i]));
                            });
  };
}

template <typename Function>
BoundKernel map_halves(Function function) {
  return [function](const Invocation& call) {
    const FloatReader x(call.inputs[0]);
    const FloatWriter y(call.outputs[0]);
    const std::int64_t width = call.inputs[0].shape.back() / 2;
    call.pool->parallel_for(call.inputs[0].count() / 2, kGrain,
                            [&](std::int64_t begin, std::int64_t end) {
                              for (std::int64_t i = begin; i < end; ++i) {
                                const std::int64_t first = i / width * 2 * width + i % width;
                                y.set(i, function(x[first], x[first + width]));
                              }
                            });
  };
}

}  // namespace

BoundKernel bind_gelu_reference(const StepDescription& step) {
  const bool tanh_form = step.attributes->get_string("approximate", "none") == "tanh";
  return tanh_form ? map_elements(gelu_tanh) : map_elements(gelu);
}

BoundKernel bind_swish_reference(const StepDescription& step) {
  const double alpha = static_cast<double>(step.attributes->get_float("alpha", 1.0F));
  return map_elements([alpha](double x) { return swish(x, alpha); });
}

BoundKernel bind_swiglu_reference(const StepDescription&) {
  return map_halves([](double gate, double up) { return swish(gate, 1.0) * up; });
}

BoundKernel bind_geglu_reference(const StepDescription&) {
  return map_halves([](double hidden, double gate) { return hidden * gelu(gate); });
}

}  // namespace tenon::kernels::cpu::activation
