#include "checkpoint/value_counts.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/half.h"

namespace tenon::checkpoint {
namespace {

constexpr std::int64_t kBlock = 1 << 14;  // 16-bit counters of a block cannot overflow

// Works on the bits with the sign removed, which order as the magnitudes do: whole numbers of one
// width throughout, so that the compiler vectorises it. No magnitude reaches `overflow` when that
// is the infinity.
template <typename Bits, typename ToDouble>
ValueCounts count_float(const std::byte* data, std::int64_t count, Bits infinity, Bits overflow,
                        ToDouble to_double) noexcept {
  constexpr auto kMagnitude = static_cast<Bits>(static_cast<Bits>(~Bits{0}) >> 1);
  ValueCounts counts;
  Bits largest = 0;
  for (std::int64_t start = 0; start < count; start += kBlock) {
    const std::int64_t end = std::min(start + kBlock, count);
    Bits nan = 0;
    Bits finite = 0;
    Bits beyond = 0;
    Bits block_largest = 0;
    for (std::int64_t i = start; i < end; ++i) {
      Bits bits;
      std::memcpy(&bits, data + i * static_cast<std::int64_t>(sizeof bits), sizeof bits);
      const auto magnitude = static_cast<Bits>(bits & kMagnitude);
      const bool is_finite = magnitude < infinity;
      nan = static_cast<Bits>(nan + (magnitude > infinity ? 1 : 0));
      finite = static_cast<Bits>(finite + (is_finite ? 1 : 0));
      beyond = static_cast<Bits>(beyond + (magnitude >= overflow ? 1 : 0));
      block_largest = std::max(block_largest, is_finite ? magnitude : Bits{0});
    }
    const auto infinite = end - start - static_cast<std::int64_t>(finite + nan);
    counts.nan += static_cast<std::int64_t>(nan);
    counts.inf += infinite;
    counts.beyond_float16 += static_cast<std::int64_t>(beyond) - infinite - nan;
    largest = std::max(largest, block_largest);
  }
  counts.max_abs = to_double(largest);
  return counts;
}

template <typename T>
ValueCounts count_integer(const std::byte* data, std::int64_t count) noexcept {
  T low = 0;
  T high = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, data + i * static_cast<std::int64_t>(sizeof value), sizeof value);
    low = std::min(low, value);
    high = std::max(high, value);
  }
  ValueCounts counts;
  counts.max_abs = std::max(static_cast<double>(high), -static_cast<double>(low));
  return counts;
}

}  // namespace

void ValueCounts::add(const ValueCounts& other) noexcept {
  nan += other.nan;
  inf += other.inf;
  beyond_float16 += other.beyond_float16;
  max_abs = std::max(max_abs, other.max_abs);
}

ValueCounts count_values(DType dtype, const std::byte* data, std::int64_t count) noexcept {
  using U16 = std::uint16_t;
  using U32 = std::uint32_t;
  using U64 = std::uint64_t;
  constexpr double kOverflow = 65520.0;
  switch (dtype) {
    case DType::f32:
      return count_float<U32>(data, count, 0x7f800000U,
                              std::bit_cast<U32>(static_cast<float>(kOverflow)),
                              [](U32 bits) { return double{std::bit_cast<float>(bits)}; });
    case DType::f64:
      return count_float<U64>(data, count, U64{0x7ff} << 52, std::bit_cast<U64>(kOverflow),
                              [](U64 bits) { return std::bit_cast<double>(bits); });
    case DType::f16:
      return count_float<U16>(data, count, 0x7c00, 0x7c00, [](U16 bits) {
        return double{static_cast<float>(std::bit_cast<Float16>(bits))};
      });
    case DType::bf16:
      return count_float<U16>(data, count, 0x7f80, 0x4780, [](U16 bits) {
        return double{static_cast<float>(std::bit_cast<BFloat16>(bits))};
      });
    case DType::i8:
      return count_integer<std::int8_t>(data, count);
    case DType::u8:
    case DType::boolean:
      return count_integer<std::uint8_t>(data, count);
    case DType::i16:
      return count_integer<std::int16_t>(data, count);
    case DType::i32:
      return count_integer<std::int32_t>(data, count);
    case DType::i64:
      return count_integer<std::int64_t>(data, count);
  }
  return {};
}

}  // namespace tenon::checkpoint
