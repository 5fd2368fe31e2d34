// The parts of the movement table, joined by movement_rows().
#pragma once

#include <span>

#include "kernels/kernel.h"

namespace tenon::kernels::cpu {

std::span<const KernelRow> reshape_rows();  // Identity Reshape Flatten Squeeze Unsqueeze
std::span<const KernelRow> strided_rows();  // Transpose Expand Slice Tile
std::span<const KernelRow> join_rows();     // Concat Split
std::span<const KernelRow> gather_rows();   // Gather GatherElements GatherND tenon.SelectRows
std::span<const KernelRow> scatter_rows();  // ScatterND ScatterElements
std::span<const KernelRow> fill_rows();     // Shape Size Range ConstantOfShape EyeLike OneHot
std::span<const KernelRow> pad_rows();      // Pad Trilu

/// A row of the plain reference, which runs everywhere and keeps no workspace.
constexpr KernelRow reference_row(std::string_view op, std::string_view name,
                                  bool (*accepts)(const StepDescription&),
                                  BoundKernel (*bind)(const StepDescription&)) {
  return {.op = op,
          .name = name,
          .isa = Isa::none,
          .weight_format = "",
          .accepts = accepts,
          .bind = bind};
}

/// Output 0 may be the memory of input 0.
constexpr KernelRow in_place_row(std::string_view op, std::string_view name,
                                 bool (*accepts)(const StepDescription&),
                                 BoundKernel (*bind)(const StepDescription&)) {
  KernelRow row = reference_row(op, name, accepts, bind);
  row.in_place = true;
  return row;
}

/// `axis` of a tensor of that rank, made non-negative.
inline std::size_t positive_axis(std::int64_t axis, std::size_t rank) noexcept {
  return static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis);
}

/// Whether an optional input is there.
inline bool given(const Invocation& call, std::size_t index) noexcept {
  return index < call.inputs.size() && call.inputs[index].data != nullptr;
}

}  // namespace tenon::kernels::cpu
