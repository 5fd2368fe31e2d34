#include "kernels/cpu/normalization/bind.h"

#include <algorithm>

#include "kernels/cpu/normalization/spec.h"

namespace tenon::kernels::cpu::normalization {
namespace {

// Elements of some microseconds of work: what waking a thread must be worth.
constexpr std::int64_t kGrain = 8192;

}  // namespace

bool accepts_f32(const StepDescription& step) {
  const auto spec = parse_norm(step);
  if (!spec.has_value() || step.outputs[0].dtype != DType::f32) return false;
  const bool has_bias = step.inputs.size() > 2 && step.inputs[2].present;
  if (spec->length > 1 && (spec->scalar_scale || (has_bias && spec->scalar_bias))) return false;
  return std::all_of(step.inputs.begin(), step.inputs.end(),
                     [](const auto& input) { return !input.present || input.dtype == DType::f32; });
}

BoundKernel bind_norm(const StepDescription& step, void (*row)(const NormRow&)) {
  return [spec = *parse_norm(step), row](const Invocation& call) {
    const float* x = call.inputs[0].as<float>().data();
    const float* scale = call.inputs[1].as<float>().data();
    const float* bias = call.inputs.size() > 2 && call.inputs[2].data != nullptr
                            ? call.inputs[2].as<float>().data()
                            : nullptr;
    float* y = call.outputs[0].as<float>().data();
    const std::int64_t rows = call.inputs[0].count() / spec.length;
    const std::int64_t grain = std::max<std::int64_t>(1, kGrain / spec.length);
    call.pool->parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        row({.x = x + r * spec.length,
             .scale = scale,
             .bias = bias,
             .y = y + r * spec.length,
             .length = spec.length,
             .epsilon = static_cast<double>(spec.epsilon)});
      }
    });
  };
}

}  // namespace tenon::kernels::cpu::normalization
