#include "kernels/cpu/normalization/reference.h"

#include <cmath>

#include "kernels/cpu/any_float.h"
#include "kernels/cpu/normalization/spec.h"

namespace tenon::kernels::cpu::normalization {
namespace {

struct Statistics {
  double mean = 0.0;
  double inverse = 1.0;
};

Statistics of_layer(const FloatReader& x, std::int64_t first, const NormSpec& spec) {
  const auto n = static_cast<double>(spec.length);
  double sum = 0.0;
  for (std::int64_t i = 0; i < spec.length; ++i) sum += x[first + i];
  const double mean = sum / n;
  double squares = 0.0;
  for (std::int64_t i = 0; i < spec.length; ++i) {
    const double centred = x[first + i] - mean;
    squares += centred * centred;
  }
  return {mean, 1.0 / std::sqrt(squares / n + static_cast<double>(spec.epsilon))};
}

Statistics of_rms(const FloatReader& x, std::int64_t first, const NormSpec& spec) {
  double squares = 0.0;
  for (std::int64_t i = 0; i < spec.length; ++i) squares += x[first + i] * x[first + i];
  const double mean = squares / static_cast<double>(spec.length);
  return {0.0, 1.0 / std::sqrt(mean + static_cast<double>(spec.epsilon))};
}

using Measure = Statistics (*)(const FloatReader&, std::int64_t, const NormSpec&);

BoundKernel bind(const NormSpec& spec, Measure measure) {
  return [spec, measure](const Invocation& call) {
    const FloatReader x(call.inputs[0]);
    const FloatReader scale(call.inputs[1]);
    const FloatReader bias =
        call.inputs.size() > 2 ? FloatReader(call.inputs[2]) : FloatReader(DType::f32, nullptr);
    const FloatWriter y(call.outputs[0]);
    const std::int64_t rows = call.inputs[0].count() / spec.length;
    call.pool->parallel_for(rows, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const std::int64_t first = row * spec.length;
        const Statistics s = measure(x, first, spec);
        for (std::int64_t i = 0; i < spec.length; ++i) {
          double value = (x[first + i] - s.mean) * s.inverse * scale[spec.scalar_scale ? 0 : i];
          if (bias.present()) value += bias[spec.scalar_bias ? 0 : i];
          y.set(first + i, value);
        }
      }
    });
  };
}

}  // namespace

BoundKernel bind_layer_reference(const StepDescription& step) {
  return bind(*parse_norm(step), of_layer);
}

BoundKernel bind_rms_reference(const StepDescription& step) {
  return bind(*parse_norm(step), of_rms);
}

}  // namespace tenon::kernels::cpu::normalization
