// Walks over the elements of x that a pooling window covers.
#pragma once

#include "kernels/cpu/reference/strided.h"
#include "kernels/cpu/reference/windows.h"

namespace tenon::kernels::cpu {

/// The window of a pool, or of a global pool, which covers each plane whole.
struct PoolWindow {
  reference::WindowAttributes attributes;
  bool global = false;

  explicit PoolWindow(const StepDescription& step)
      : attributes(*step.attributes), global(step.op.starts_with("Global")) {}

  reference::WindowPlan plan(const Invocation& call) const noexcept {
    const auto in = std::span(call.inputs[0].shape).subspan(2);
    const auto out = std::span(call.outputs[0].shape).subspan(2);
    return {attributes, in, out, global ? in : std::span<const std::int64_t>(attributes.kernel)};
  }
};

/// use(offset) for the elements of a plane under the window at `place` (coordinates), in row-major
/// order of the taps; padding is left out.
template <typename Use>
void walk_window(const reference::WindowPlan& plan, const std::int64_t* place, std::size_t axis,
                 std::int64_t offset, const Use& use) {
  if (axis == plan.rank) return use(offset);
  const reference::WindowAxis& along = plan.axes[axis];
  for (std::int64_t tap = 0; tap < along.kernel; ++tap) {
    const std::int64_t source = along.source(place[axis], tap);
    if (source >= 0 && source < along.in)
      walk_window(plan, place, axis + 1, offset * along.in + source, use);
  }
}

/// pool(plane, place index, coordinates) for every output element, over the pool of threads.
template <typename Pool>
void for_each_window(const Invocation& call, const reference::WindowPlan& plan, const Pool& pool) {
  std::array<std::int64_t, kMaxRank> sizes{};
  for (std::size_t i = 0; i < plan.rank; ++i) sizes[i] = plan.axes[i].out;
  const std::int64_t count = call.outputs[0].count();
  const std::int64_t grain =
      std::max<std::int64_t>(1, reference::kGrain / std::max<std::int64_t>(1, plan.taps));
  reference::parallel(call, count, grain, [&](std::int64_t begin, std::int64_t end) {
    std::array<std::int64_t, kMaxRank> place{};
    for (std::int64_t i = begin; i < end; ++i) {
      reference::coordinates_of(i % plan.places, plan.rank, sizes.data(), place.data());
      pool(i / plan.places, i, place.data());
    }
  });
}

}  // namespace tenon::kernels::cpu
