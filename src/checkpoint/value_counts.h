// What the values of a run of elements are: not a number, infinite, too large for float16.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace tenon::checkpoint {

struct ValueCounts {
  std::int64_t nan = 0;
  std::int64_t inf = 0;
  std::int64_t beyond_float16 = 0;  ///< finite, and 65520 or more, which rounds to infinity
  double max_abs = 0;               ///< of the finite values

  void add(const ValueCounts& other) noexcept;
};

/// `data` holds `count` elements and need not be aligned.
ValueCounts count_values(DType dtype, const std::byte* data, std::int64_t count) noexcept;

}  // namespace tenon::checkpoint
