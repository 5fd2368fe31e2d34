// The parts of the reduction table, joined by reduction_rows().
#pragma once

#include <span>

#include "kernels/kernel.h"

namespace tenon::kernels::cpu {

std::span<const KernelRow> reduce_rows();      // ReduceSum ReduceMean ... ReduceLogSumExp
std::span<const KernelRow> softmax_rows();     // Softmax LogSoftmax
std::span<const KernelRow> arg_rows();         // ArgMax ArgMin TopK
std::span<const KernelRow> scan_rows();        // CumSum
std::span<const KernelRow> statistics_rows();  // Group-, Instance-, BatchNormalization
std::span<const KernelRow> einsum_rows();      // Einsum

/// A tensor as [outer, size, inner] around one axis.
struct AxisView {
  std::int64_t outer = 1;
  std::int64_t size = 1;
  std::int64_t inner = 1;

  /// `axis` may be negative.
  AxisView(const Shape& shape, std::int64_t axis) noexcept {
    const auto rank = static_cast<std::int64_t>(shape.size());
    const std::int64_t at = axis < 0 ? axis + rank : axis;
    for (std::int64_t i = 0; i < rank; ++i) {
      std::int64_t& part = i < at ? outer : i == at ? size : inner;
      part *= shape[static_cast<std::size_t>(i)];
    }
  }
  /// Lines along the axis.
  std::int64_t lines() const noexcept { return outer * inner; }
  /// Offset of the first element of a line; the next ones follow by `inner`.
  std::int64_t first(std::int64_t line) const noexcept {
    return line / inner * size * inner + line % inner;
  }
};

}  // namespace tenon::kernels::cpu
