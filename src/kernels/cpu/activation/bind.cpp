#include "kernels/cpu/activation/bind.h"

#include <algorithm>

namespace tenon::kernels::cpu::activation {
namespace {

// Some microseconds of work: what waking a thread must be worth.
constexpr std::int64_t kGrain = 8192;

template <typename Run>
BoundKernel map_elements(Run run) {
  return [run](const Invocation& call) {
    const float* x = call.inputs[0].as<float>().data();
    float* y = call.outputs[0].as<float>().data();
    call.pool->parallel_for(
        call.inputs[0].count(), kGrain,
        [&](std::int64_t begin, std::int64_t end) { run(x + begin, y + begin, end - begin); });
  };
}

// run(first, second, y, count) for stretches of the two halves of each row.
template <typename Run>
void for_halves(const Invocation& call, Run run) {
  const float* x = call.inputs[0].as<float>().data();
  float* y = call.outputs[0].as<float>().data();
  const std::int64_t width = call.inputs[0].shape.back() / 2;
  call.pool->parallel_for(call.inputs[0].count() / 2, kGrain,
                          [&](std::int64_t begin, std::int64_t end) {
                            for (std::int64_t i = begin; i < end;) {
                              const std::int64_t count = std::min(end - i, width - i % width);
                              const float* first = x + i / width * 2 * width + i % width;
                              run(first, first + width, y + i, count);
                              i += count;
                            }
                          });
}

}  // namespace

BoundKernel bind_gelu(const StepDescription& step, const ActivationRuns& runs) {
  const bool tanh_form = step.attributes->get_string("approximate", "none") == "tanh";
  return map_elements(tanh_form ? runs.gelu_tanh : runs.gelu);
}

BoundKernel bind_swish(const StepDescription& step, const ActivationRuns& runs) {
  return map_elements(
      [swish = runs.swish, alpha = step.attributes->get_float("alpha", 1.0F)](
          const float* x, float* y, std::int64_t count) { swish(x, alpha, y, count); });
}

BoundKernel bind_swiglu(const StepDescription&, const ActivationRuns& runs) {
  return [swiglu = runs.swiglu](const Invocation& call) {
    for_halves(call, [swiglu](const float* first, const float* second, float* y,
                              std::int64_t count) { swiglu(first, second, y, count); });
  };
}

BoundKernel bind_geglu(const StepDescription&, const ActivationRuns& runs) {
  return [geglu = runs.geglu](const Invocation& call) {
    for_halves(call, [geglu](const float* first, const float* second, float* y,
                             std::int64_t count) { geglu(second, first, y, count); });
  };
}

}  // namespace tenon::kernels::cpu::activation
