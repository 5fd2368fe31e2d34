#include "kernels/cpu/reference/elements.h"

#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

#include "base/half.h"

namespace tenon::kernels::reference {
namespace {

template <typename Visitor>
void visit_type(DType type, Visitor&& visitor) {
  switch (type) {
    case DType::f32:
      return visitor(float{});
    case DType::f16:
      return visitor(Float16{});
    case DType::bf16:
      return visitor(BFloat16{});
    case DType::f64:
      return visitor(double{});
    case DType::i8:
      return visitor(std::int8_t{});
    case DType::u8:
      return visitor(std::uint8_t{});
    case DType::i16:
      return visitor(std::int16_t{});
    case DType::i32:
      return visitor(std::int32_t{});
    case DType::i64:
      return visitor(std::int64_t{});
    case DType::boolean:
      return visitor(bool{});
  }
}

template <typename T>
constexpr bool kIsHalf = std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>;

// The float next to `value` whose last bit is 1 unless it is exact: rounding that once more to a
// half type gives what rounding `value` itself would.
float rounded_to_odd(double value) noexcept {
  const auto nearest = static_cast<float>(value);
  if (static_cast<double>(nearest) == value || std::isnan(value)) return nearest;
  const auto bits = std::bit_cast<std::uint32_t>(nearest);
  if ((bits & 1U) != 0) return nearest;
  const bool beyond = std::abs(static_cast<double>(nearest)) > std::abs(value);
  return std::bit_cast<float>(beyond ? bits - 1 : bits + 1);
}

template <typename T>
T saturated(double value) noexcept {
  if (std::isnan(value)) return 0;
  const auto low = static_cast<double>(std::numeric_limits<T>::min());
  const auto high = static_cast<double>(std::numeric_limits<T>::max());
  if (value <= low) return std::numeric_limits<T>::min();
  if (value >= high) return std::numeric_limits<T>::max();
  return static_cast<T>(value);
}

// bool bytes from outside may hold anything but 0 for true.
bool truth(const bool* at) noexcept { return *reinterpret_cast<const unsigned char*>(at) != 0; }

}  // namespace

void load_real(DType type, const std::byte* data, std::int64_t offset, std::int64_t stride,
               std::int64_t count, double* out) noexcept {
  visit_type(type, [&](auto tag) {
    using T = decltype(tag);
    const T* source = reinterpret_cast<const T*>(data) + offset;
    for (std::int64_t i = 0; i < count; ++i) {
      if constexpr (kIsHalf<T>) {
        out[i] = static_cast<double>(static_cast<float>(source[i * stride]));
      } else if constexpr (std::is_same_v<T, bool>) {
        out[i] = truth(source + i * stride) ? 1.0 : 0.0;
      } else {
        out[i] = static_cast<double>(source[i * stride]);
      }
    }
  });
}

void load_integer(DType type, const std::byte* data, std::int64_t offset, std::int64_t stride,
                  std::int64_t count, std::int64_t* out) noexcept {
  visit_type(type, [&](auto tag) {
    using T = decltype(tag);
    const T* source = reinterpret_cast<const T*>(data) + offset;
    for (std::int64_t i = 0; i < count; ++i) {
      if constexpr (std::is_same_v<T, bool>) {
        out[i] = truth(source + i * stride) ? 1 : 0;
      } else if constexpr (kIsHalf<T>) {
        out[i] =
            saturated<std::int64_t>(static_cast<double>(static_cast<float>(source[i * stride])));
      } else if constexpr (std::is_floating_point_v<T>) {
        out[i] = saturated<std::int64_t>(static_cast<double>(source[i * stride]));
      } else {
        out[i] = source[i * stride];
      }
    }
  });
}

void store_real(DType type, std::byte* data, std::int64_t offset, std::int64_t stride,
                std::int64_t count, const double* values) noexcept {
  visit_type(type, [&](auto tag) {
    using T = decltype(tag);
    T* target = reinterpret_cast<T*>(data) + offset;
    for (std::int64_t i = 0; i < count; ++i) {
      if constexpr (kIsHalf<T>) {
        target[i * stride] = T(rounded_to_odd(values[i]));
      } else if constexpr (std::is_same_v<T, bool>) {
        target[i * stride] = values[i] != 0;
      } else if constexpr (std::is_floating_point_v<T>) {
        target[i * stride] = static_cast<T>(values[i]);
      } else {
        target[i * stride] = saturated<T>(values[i]);
      }
    }
  });
}

void store_integer(DType type, std::byte* data, std::int64_t offset, std::int64_t stride,
                   std::int64_t count, const std::int64_t* values) noexcept {
  visit_type(type, [&](auto tag) {
    using T = decltype(tag);
    T* target = reinterpret_cast<T*>(data) + offset;
    for (std::int64_t i = 0; i < count; ++i) {
      if constexpr (kIsHalf<T>) {
        target[i * stride] = T(rounded_to_odd(static_cast<double>(values[i])));
      } else if constexpr (std::is_same_v<T, bool>) {
        target[i * stride] = values[i] != 0;
      } else {
        target[i * stride] = static_cast<T>(values[i]);
      }
    }
  });
}

std::int64_t index_at(DType type, const std::byte* data, std::int64_t offset) noexcept {
  return type == DType::i32 ? reinterpret_cast<const std::int32_t*>(data)[offset]
                            : reinterpret_cast<const std::int64_t*>(data)[offset];
}

}  // namespace tenon::kernels::reference
