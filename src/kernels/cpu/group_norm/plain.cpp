#include "kernels/cpu/group_norm/plain.h"

#include <cmath>

#include "kernels/cpu/any_float.h"
#include "kernels/cpu/group_norm/spec.h"
#include "kernels/cpu/linear/exact_activation.h"

namespace tenon::kernels::cpu::group_norm {
namespace {

// One group of one image: body(value) for each of its elements.
template <typename Body>
void for_each_element(const GroupSpec& spec, const Invocation& call, std::int64_t image,
                      std::int64_t group, const Body& body) {
  const TensorView& x = call.inputs[kX];
  const std::int64_t pixels = x.count() / x.shape[0] / spec.channels;
  const std::int64_t width = spec.all_channels() / spec.groups;
  for (std::int64_t p = image * pixels; p < (image + 1) * pixels; ++p) {
    for (std::int64_t c = group * width; c < (group + 1) * width; ++c) {
      body(c < spec.channels
               ? FloatReader(x)[p * spec.channels + c]
               : FloatReader(call.inputs[kX2])[p * spec.channels2 + c - spec.channels]);
    }
  }
}

void run_group_scale(const GroupSpec& spec, const Invocation& call) {
  const TensorView& x = call.inputs[kX];
  const std::int64_t width = spec.all_channels() / spec.groups;
  const FloatWriter y(call.outputs[0]);
  call.pool->parallel_for(x.shape[0] * spec.groups, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t unit = begin; unit < end; ++unit) {
      const std::int64_t image = unit / spec.groups;
      const std::int64_t group = unit % spec.groups;
      double count = 0.0;
      double sum = 0.0;
      for_each_element(spec, call, image, group, [&](double value) {
        count += 1.0;
        sum += value;
      });
      const double mean = sum / count;
      double squares = 0.0;
      for_each_element(spec, call, image, group,
                       [&](double value) { squares += (value - mean) * (value - mean); });
      const double inverse = 1.0 / std::sqrt(squares / count + spec.epsilon);
      for (std::int64_t c = group * width; c < (group + 1) * width; ++c) {
        const double scale = FloatReader(call.inputs[kGamma])[c] * inverse;
        const std::int64_t at = image * 2 * spec.all_channels() + c;
        y.set(at, scale);
        y.set(at + spec.all_channels(), FloatReader(call.inputs[kBeta])[c] - mean * scale);
      }
    }
  });
}

void run_scale_shift(const ScaleShiftSpec& spec, const Invocation& call) {
  const TensorView& x = call.inputs[0];
  const std::int64_t pixels = x.count() / spec.channels;
  if (pixels == 0) return;
  const std::int64_t in_image = pixels / x.shape[0];
  const FloatReader from(x);
  const FloatReader scale_shift(call.inputs[1]);
  const FloatWriter y(call.outputs[0]);
  call.pool->parallel_for(pixels, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t p = begin; p < end; ++p) {
      const std::int64_t scale = p / in_image * 2 * spec.channels;
      for (std::int64_t c = 0; c < spec.channels; ++c) {
        const double value = from[p * spec.channels + c] * scale_shift[scale + c] +
                             scale_shift[scale + spec.channels + c];
        y.set(p * spec.channels + c, linear::activate(spec.activation, value));
      }
    }
  });
}

}  // namespace

bool accepts_group_scale_plain(const StepDescription& step) {
  return parse_group_scale(step).has_value();
}

BoundKernel bind_group_scale_plain(const StepDescription& step) {
  return [spec = *parse_group_scale(step)](const Invocation& call) { run_group_scale(spec, call); };
}

bool accepts_scale_shift_plain(const StepDescription& step) {
  return parse_scale_shift(step).has_value();
}

BoundKernel bind_scale_shift_plain(const StepDescription& step) {
  return [spec = *parse_scale_shift(step)](const Invocation& call) { run_scale_shift(spec, call); };
}

}  // namespace tenon::kernels::cpu::group_norm
