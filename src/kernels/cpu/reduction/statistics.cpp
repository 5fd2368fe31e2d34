// Normalizations of channels: y = (x - mean) / sqrt(variance + epsilon) * scale[c] + bias[c].
// X is [N, C, ...]; mean and variance are of a group of channels of one image (GroupNormalization),
// of one channel of one image (InstanceNormalization), or given (BatchNormalization).
#include <cmath>

#include "kernels/cpu/reduction/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

double element(const TensorView& view, std::int64_t index) {
  double value = 0;
  load_real(view.dtype, view.data, index, 1, 1, &value);
  return value;
}

struct Statistics {
  double mean = 0;
  double variance = 0;
};

// Of elements [first, first + count), in two passes: the mean, then the squares around it.
Statistics statistics_of(const TensorView& x, std::int64_t first, std::int64_t count) {
  Statistics result;
  double sum = 0;
  blocks(0, count, [&](std::int64_t at, std::int64_t part) {
    double values[kBlock];
    load_real(x.dtype, x.data, first + at, 1, part, values);
    for (std::int64_t i = 0; i < part; ++i) sum += values[i];
  });
  result.mean = sum / static_cast<double>(count);
  double squares = 0;
  blocks(0, count, [&](std::int64_t at, std::int64_t part) {
    double values[kBlock];
    load_real(x.dtype, x.data, first + at, 1, part, values);
    for (std::int64_t i = 0; i < part; ++i)
      squares += (values[i] - result.mean) * (values[i] - result.mean);
  });
  result.variance = squares / static_cast<double>(count);
  return result;
}

// One channel of one image: `plane` elements from `first`.
void normalize_plane(const Invocation& call, std::int64_t channel, std::int64_t first,
                     std::int64_t plane, const Statistics& statistics, double epsilon) {
  const TensorView& x = call.inputs[0];
  const MutableTensorView& y = call.outputs[0];
  const double scale = element(call.inputs[1], channel) / std::sqrt(statistics.variance + epsilon);
  const double bias = element(call.inputs[2], channel);
  blocks(0, plane, [&](std::int64_t at, std::int64_t count) {
    double values[kBlock];
    load_real(x.dtype, x.data, first + at, 1, count, values);
    for (std::int64_t i = 0; i < count; ++i)
      values[i] = (values[i] - statistics.mean) * scale + bias;
    store_real(y.dtype, y.data, first + at, 1, count, values);
  });
}

// Each image has `groups` runs of neighbouring channels.
void normalize_groups(const Invocation& call, std::int64_t groups, double epsilon) {
  const TensorView& x = call.inputs[0];
  const std::int64_t channels = x.shape[1];
  const std::int64_t plane = product(x.shape, 2, x.shape.size());
  const std::int64_t per_group = channels / groups;
  const std::int64_t size = per_group * plane;
  if (x.count() == 0) return;
  parallel(call, x.shape[0] * groups, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t group = begin; group < end; ++group) {
      const Statistics statistics = statistics_of(x, group * size, size);
      for (std::int64_t i = 0; i < per_group; ++i) {
        const std::int64_t channel = group % groups * per_group + i;
        normalize_plane(call, channel, group * size + i * plane, plane, statistics, epsilon);
      }
    }
  });
}

double epsilon_of(const StepDescription& step) {
  return static_cast<double>(step.attributes->get_float("epsilon", 1e-5F));
}

BoundKernel bind_group(const StepDescription& step) {
  return [epsilon = epsilon_of(step), groups = step.attributes->get_int("num_groups", 1)](
             const Invocation& call) { normalize_groups(call, groups, epsilon); };
}

BoundKernel bind_instance(const StepDescription& step) {
  return [epsilon = epsilon_of(step)](const Invocation& call) {
    if (call.inputs[0].shape[1] > 0) normalize_groups(call, call.inputs[0].shape[1], epsilon);
  };
}

// Inputs: X, scale, bias, mean, variance.
BoundKernel bind_batch(const StepDescription& step) {
  return [epsilon = epsilon_of(step)](const Invocation& call) {
    const TensorView& x = call.inputs[0];
    const std::int64_t channels = x.shape[1];
    const std::int64_t plane = product(x.shape, 2, x.shape.size());
    const std::int64_t grain = std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, plane));
    parallel(call, x.shape[0] * channels, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t channel = i % channels;
        const Statistics statistics{element(call.inputs[3], channel),
                                    element(call.inputs[4], channel)};
        normalize_plane(call, channel, i * plane, plane, statistics, epsilon);
      }
    });
  };
}

constexpr KernelRow row(std::string_view op, std::string_view name,
                        BoundKernel (*bind)(const StepDescription&)) {
  return {.op = op,
          .name = name,
          .isa = Isa::none,
          .weight_format = "",
          .accepts = all_float,
          .bind = bind,
          .in_place = true};
}

constexpr KernelRow kRows[] = {
    row("GroupNormalization", "group_normalization_reference", bind_group),
    row("InstanceNormalization", "instance_normalization_reference", bind_instance),
    row("BatchNormalization", "batch_normalization_reference", bind_batch),
};

}  // namespace

std::span<const KernelRow> statistics_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
