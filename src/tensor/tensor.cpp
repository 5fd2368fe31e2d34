#include "tensor/tensor.h"

#include <cstdlib>
#include <cstring>

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/half.h"

namespace tenon {
namespace {

constexpr std::size_t kAlignment = 64;

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

template <typename To, typename From>
To convert_one(From value) {
  if constexpr (kIsHalf<From>) {
    return convert_one<To>(static_cast<float>(value));
  } else if constexpr (kIsHalf<To>) {
    return To(static_cast<float>(value));
  } else {
    return static_cast<To>(value);
  }
}

}  // namespace

std::int64_t element_count(std::span<const std::int64_t> shape) {
  std::int64_t count = 1;
  for (const std::int64_t dim : shape) {
    if (dim < 0) bad_input("shape {} has a negative dimension", to_string(shape));
    if (dim == 0) return 0;
    if (__builtin_mul_overflow(count, dim, &count) || count > (std::int64_t{1} << 59)) {
      bad_input("shape {} has more elements than memory can hold", to_string(shape));
    }
  }
  return count;
}

std::string to_string(std::span<const std::int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

void Tensor::Free::operator()(std::byte* pointer) const noexcept { std::free(pointer); }

Tensor::Tensor(DType dtype, Shape shape) : dtype_(dtype), shape_(std::move(shape)) {
  const std::size_t size = (bytes() + kAlignment) / kAlignment * kAlignment;
  data_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, size)));
  if (!data_) fail(ErrorCode::resource, "{} bytes of memory could not be had for a tensor", size);
}

Tensor::Tensor(const Tensor& other) { *this = other; }

Tensor& Tensor::operator=(const Tensor& other) {
  if (this == &other) return *this;
  if (!other.data_) return *this = Tensor();
  return *this = copy_of(other.view());
}

Tensor Tensor::copy_of(const TensorView& view) {
  Tensor made(view.dtype, view.shape);
  if (view.bytes() > 0) std::memcpy(made.data(), view.data, view.bytes());
  return made;
}

Tensor Tensor::from_ints(Shape shape, std::span<const std::int64_t> values) {
  return copy_of({DType::i64, std::move(shape), std::as_bytes(values).data()});
}

Tensor Tensor::from_floats(Shape shape, std::span<const float> values) {
  return copy_of({DType::f32, std::move(shape), std::as_bytes(values).data()});
}

void convert(DType from_type, const std::byte* from, DType to_type, std::byte* to,
             std::size_t count) {
  if (from_type == to_type) {
    if (count > 0) std::memmove(to, from, count * dtype_size(to_type));
    return;
  }
  visit_type(from_type, [&](auto from_tag) {
    visit_type(to_type, [&](auto to_tag) {
      using From = decltype(from_tag);
      using To = decltype(to_tag);
      auto* target = reinterpret_cast<To*>(to);
      if constexpr (std::is_same_v<From, bool>) {  // a byte of a file above 1 is no C++ bool
        for (std::size_t i = 0; i < count; ++i)
          target[i] = convert_one<To>(from[i] != std::byte{0});
      } else {
        const auto* source = reinterpret_cast<const From*>(from);
        for (std::size_t i = 0; i < count; ++i) target[i] = convert_one<To>(source[i]);
      }
    });
  });
}

Tensor converted(const TensorView& view, DType to) {
  Tensor made(to, view.shape);
  convert(view.dtype, view.data, to, made.data(), static_cast<std::size_t>(view.count()));
  return made;
}

}  // namespace tenon
