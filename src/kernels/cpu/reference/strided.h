// Where the elements of a result lie in an operand that is repeated, permuted or cut.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "base/thread_pool.h"
#include "kernels/cpu/reference/elements.h"
#include "kernels/kernel.h"

namespace tenon::kernels::reference {

/// Maps the row-major index of an element of the result to an offset in the operand:
/// base + sum of coordinate * stride. Neighbouring axes that continue each other are one. Made on
/// the stack; never allocates.
class Strided {
 public:
  /// Tile sees each axis as two.
  static constexpr std::size_t kMostAxes = 2 * kMaxRank;

  Strided() = default;
  /// `shape` broadcasts to `result`; missing leading axes and axes of size 1 repeat.
  static Strided broadcast(std::span<const std::int64_t> shape,
                           std::span<const std::int64_t> result) noexcept;
  explicit Strided(std::int64_t base) : base_(base) {}
  /// Adds the next inner axis.
  void add_axis(std::int64_t size, std::int64_t stride) noexcept;

  struct Run {
    std::int64_t offset;
    std::int64_t stride;
    std::int64_t length;  ///< elements from here on that `stride` leads through
  };
  Run at(std::int64_t index) const noexcept;

 private:
  std::int64_t base_ = 0;
  std::size_t axes_ = 0;
  std::array<std::int64_t, kMostAxes> sizes_{};
  std::array<std::int64_t, kMostAxes> strides_{};
};

/// An operand together with where its elements are wanted.
struct StridedOperand {
  DType type;
  const std::byte* data;
  Strided where;

  static StridedOperand broadcast(const TensorView& view,
                                  std::span<const std::int64_t> result) noexcept {
    return {view.dtype, view.data, Strided::broadcast(view.shape, result)};
  }
  void load(std::int64_t begin, std::int64_t count, double* out) const noexcept;
  void load(std::int64_t begin, std::int64_t count, std::int64_t* out) const noexcept;
};

/// out[i] = data[where(i)] for elements of `size` bytes (1, 2, 4 or 8), i in [begin, end).
void copy_strided(const std::byte* data, const Strided& where, std::size_t size, std::int64_t begin,
                  std::int64_t end, std::byte* out) noexcept;
/// The whole of it, over the pool.
void copy_strided(const Invocation& call, const std::byte* data, const Strided& where,
                  std::byte* out);

/// Row-major strides in elements; `strides` has as many places as `shape`.
void row_major(std::span<const std::int64_t> shape, std::int64_t* strides) noexcept;
/// Product of shape[begin, end).
std::int64_t product(std::span<const std::int64_t> shape, std::size_t begin,
                     std::size_t end) noexcept;

/// Elements that are worth a thread.
inline constexpr std::int64_t kGrain = 8192;

/// body(begin, end) over the pool, or on the caller where there is none.
template <typename Body>
void parallel(const Invocation& call, std::int64_t count, std::int64_t grain, Body&& body) {
  if (call.pool != nullptr) return call.pool->parallel_for(count, grain, body);
  if (count > 0) body(std::int64_t{0}, count);
}

/// body(begin, count) for pieces of at most kBlock of [begin, end).
template <typename Body>
void blocks(std::int64_t begin, std::int64_t end, Body&& body) {
  for (; begin < end; begin += kBlock) body(begin, std::min(kBlock, end - begin));
}

}  // namespace tenon::kernels::reference
