// Elements of any type as the two types that reference kernels compute in: double for the floating
// types, int64 for integers and bool.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace tenon::kernels::reference {

/// Elements computed at a time, in buffers on the stack.
inline constexpr std::int64_t kBlock = 256;

/// out[i] = data[offset + i * stride], exact for every floating type; integers beyond 2^53 round.
void load_real(DType type, const std::byte* data, std::int64_t offset, std::int64_t stride,
               std::int64_t count, double* out) noexcept;
/// Floating types are rounded towards zero, out of range to the nearest int64, NaN to 0.
void load_integer(DType type, const std::byte* data, std::int64_t offset, std::int64_t stride,
                  std::int64_t count, std::int64_t* out) noexcept;
/// data[offset + i * stride] = values[i], rounded once to nearest even. Integer types round towards
/// zero and saturate, NaN gives 0; bool is `values[i] != 0`.
void store_real(DType type, std::byte* data, std::int64_t offset, std::int64_t stride,
                std::int64_t count, const double* values) noexcept;
/// Narrower integers keep the low bits.
void store_integer(DType type, std::byte* data, std::int64_t offset, std::int64_t stride,
                   std::int64_t count, const std::int64_t* values) noexcept;

/// One index (int32 or int64) of a tensor of indices.
std::int64_t index_at(DType type, const std::byte* data, std::int64_t offset) noexcept;

}  // namespace tenon::kernels::reference
