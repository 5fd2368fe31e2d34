// Resize: each output element is a weighted sum of input elements, axis by axis, or the nearest
// one.
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/cpu/image/resize_axis.h"
#include "kernels/cpu/image/rows.h"
#include "kernels/cpu/reference/accepts.h"
#include "kernels/cpu/reference/strided.h"
#include "kernels/cpu/reference/windows.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

struct Resize {
  ResizeRule rule;
  std::vector<std::int64_t> axes;  // as the attribute has them; empty for all
  std::string policy;

  explicit Resize(const Attributes& attributes)
      : rule(attributes),
        axes(attributes.get_ints("axes")),
        policy(attributes.get_string("keep_aspect_ratio_policy", "stretch")) {}
};

bool given(const Invocation& call, std::size_t index) {
  return index < call.inputs.size() && call.inputs[index].data != nullptr;
}

double number(const TensorView& view, std::int64_t index) {
  double value = 0;
  load_real(view.dtype, view.data, index, 1, 1, &value);
  return value;
}

struct Plan {
  std::size_t rank;
  std::array<ResizeAxis, kMaxRank> axes;
  std::array<std::int64_t, kMaxRank> strides{};  // of x

  Plan(const Resize& resize, const Invocation& call) noexcept;
};

Plan::Plan(const Resize& resize, const Invocation& call) noexcept
    : rank(call.inputs[0].shape.size()) {
  const Shape& in = call.inputs[0].shape;
  const Shape& out = call.outputs[0].shape;
  row_major(in, strides.data());
  for (std::size_t i = 0; i < rank; ++i) {
    axes[i].in = in[i];
    axes[i].out = out[i];
  }
  const std::size_t count = resize.axes.empty() ? rank : resize.axes.size();
  const bool keeps = resize.policy != "stretch";
  const bool larger = resize.policy == "not_smaller";
  double kept = larger ? 0 : std::numeric_limits<double>::infinity();
  const auto axis_at = [&](std::size_t i) -> ResizeAxis& {
    const std::int64_t axis = resize.axes.empty() ? static_cast<std::int64_t>(i) : resize.axes[i];
    return axes[static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis)];
  };
  for (std::size_t i = 0; i < count; ++i) {
    ResizeAxis& axis = axis_at(i);
    const auto place = static_cast<std::int64_t>(i);
    axis.scale = given(call, 3) ? number(call.inputs[3], place) / static_cast<double>(axis.in)
                                : number(call.inputs[2], place);
    kept = larger ? std::fmax(kept, axis.scale) : std::fmin(kept, axis.scale);
    if (resize.rule.coordinates == Coordinates::crop_and_resize) {
      axis.region_begin = number(call.inputs[1], place);
      axis.region_end = number(call.inputs[1], place + static_cast<std::int64_t>(count));
    }
  }
  if (!given(call, 3) || !keeps) return;
  for (std::size_t i = 0; i < count; ++i) axis_at(i).scale = kept;
}

void nearest_line(const Plan& plan, const ResizeRule& rule, const Invocation& call,
                  std::int64_t line, const std::int64_t* coordinates) {
  const std::size_t size = dtype_size(call.outputs[0].dtype);
  const std::size_t inner = plan.rank - 1;
  std::int64_t base = 0;
  for (std::size_t i = 0; i < inner; ++i)
    base += plan.axes[i].nearest(rule, coordinates[i]) * plan.strides[i];
  const ResizeAxis& row = plan.axes[inner];
  std::byte* out = call.outputs[0].data + static_cast<std::size_t>(line * row.out) * size;
  const std::byte* from = call.inputs[0].data + static_cast<std::size_t>(base) * size;
  for (std::int64_t i = 0; i < row.out; ++i) {
    std::memcpy(out + static_cast<std::size_t>(i) * size,
                from + static_cast<std::size_t>(row.nearest(rule, i)) * size, size);
  }
}

// The sum over the taps of axes [axis, rank), `taps` settled for each.
double blend(const Plan& plan, const ResizeRule& rule, const TensorView& x,
             const ResizeAxis::Taps* taps, std::size_t axis, std::int64_t offset) {
  if (axis == plan.rank) return number(x, offset);
  const ResizeAxis& along = plan.axes[axis];
  if (!along.changes() && rule.coordinates != Coordinates::crop_and_resize) {
    return blend(plan, rule, x, taps, axis + 1,
                 offset + static_cast<std::int64_t>(taps[axis].place) * plan.strides[axis]);
  }
  double sum = 0;
  for (std::int64_t i = 0; i < taps[axis].count; ++i) {
    const double weight = along.weight(rule, taps[axis], i);
    if (weight == 0) continue;
    const std::int64_t element = std::clamp<std::int64_t>(taps[axis].first + i, 0, along.in - 1);
    sum += weight * blend(plan, rule, x, taps, axis + 1, offset + element * plan.strides[axis]);
  }
  return sum / taps[axis].sum;
}

ResizeAxis::Taps taps_of(const ResizeAxis& axis, const ResizeRule& rule, std::int64_t index) {
  if (axis.changes() || rule.coordinates == Coordinates::crop_and_resize)
    return axis.taps(rule, index);
  ResizeAxis::Taps same;
  same.place = static_cast<double>(index);
  return same;
}

void blended_line(const Plan& plan, const ResizeRule& rule, const Invocation& call,
                  std::int64_t line, const std::int64_t* coordinates) {
  std::array<ResizeAxis::Taps, kMaxRank> taps;
  const std::size_t inner = plan.rank - 1;
  bool outside = false;
  for (std::size_t i = 0; i < inner; ++i) {
    taps[i] = taps_of(plan.axes[i], rule, coordinates[i]);
    outside = outside || taps[i].outside;
  }
  const ResizeAxis& row = plan.axes[inner];
  const MutableTensorView& y = call.outputs[0];
  blocks(0, row.out, [&](std::int64_t begin, std::int64_t count) {
    double values[kBlock];
    for (std::int64_t i = 0; i < count; ++i) {
      taps[inner] = taps_of(row, rule, begin + i);
      values[i] = outside || taps[inner].outside
                      ? rule.extrapolation
                      : blend(plan, rule, call.inputs[0], taps.data(), 0, 0);
    }
    store_real(y.dtype, y.data, line * row.out + begin, 1, count, values);
  });
}

BoundKernel bind_resize(const StepDescription& step) {
  return [resize = Resize(*step.attributes)](const Invocation& call) {
    const Shape& out = call.outputs[0].shape;
    if (call.outputs[0].count() == 0) return;
    if (call.inputs[0].count() == 0) {  // nothing to take from: zeros
      std::memset(
          call.outputs[0].data, 0,
          static_cast<std::size_t>(call.outputs[0].count()) * dtype_size(call.outputs[0].dtype));
      return;
    }
    const Plan plan(resize, call);
    const std::int64_t lines = product(out, 0, plan.rank - 1);
    const std::int64_t grain = std::max<std::int64_t>(1, kGrain / 8 / out.back());
    const bool nearest = resize.rule.mode == ResizeMode::nearest;
    parallel(call, lines, grain, [&](std::int64_t begin, std::int64_t end) {
      std::array<std::int64_t, kMaxRank> coordinates{};
      for (std::int64_t line = begin; line < end; ++line) {
        coordinates_of(line, plan.rank - 1, out.data(), coordinates.data());
        (nearest ? nearest_line : blended_line)(plan, resize.rule, call, line, coordinates.data());
      }
    });
  };
}

constexpr KernelRow kRows[] = {
    {.op = "Resize",
     .name = "resize_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = moves_input,
     .bind = bind_resize},
};

}  // namespace

std::span<const KernelRow> resize_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
