// Dense row-major tensors: a view that borrows, a value that owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/dtype.h"

namespace tenon {

using Shape = std::vector<std::int64_t>;
/// Dimensions a tensor may have; what is read from outside is refused beyond it.
inline constexpr std::size_t kMaxRank = 16;

/// Number of elements; throws Error(bad_input) when a dimension is negative or the product, times
/// 8, leaves 63 bits.
std::int64_t element_count(std::span<const std::int64_t> shape);
/// `[2, 3]`
std::string to_string(std::span<const std::int64_t> shape);

/// Borrowed, contiguous, row-major, read-only. Never outlives the owner of `data`.
struct TensorView {
  DType dtype = DType::f32;
  Shape shape;
  const std::byte* data = nullptr;

  std::int64_t count() const { return element_count(shape); }
  std::size_t bytes() const { return static_cast<std::size_t>(count()) * dtype_size(dtype); }
  template <typename T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(data), static_cast<std::size_t>(count())};
  }
};

/// Owned, contiguous, row-major, 64-byte aligned. Movable; copies share nothing.
class Tensor {
 public:
  Tensor() = default;
  /// Uninitialised.
  Tensor(DType dtype, Shape shape);
  Tensor(const Tensor& other);
  Tensor& operator=(const Tensor& other);
  Tensor(Tensor&&) noexcept = default;
  Tensor& operator=(Tensor&&) noexcept = default;
  ~Tensor() = default;

  static Tensor copy_of(const TensorView& view);
  static Tensor from_ints(Shape shape, std::span<const std::int64_t> values);
  static Tensor from_floats(Shape shape, std::span<const float> values);

  DType dtype() const noexcept { return dtype_; }
  const Shape& shape() const noexcept { return shape_; }
  std::int64_t count() const { return element_count(shape_); }
  std::size_t bytes() const { return static_cast<std::size_t>(count()) * dtype_size(dtype_); }
  std::byte* data() noexcept { return data_.get(); }
  const std::byte* data() const noexcept { return data_.get(); }
  TensorView view() const { return {dtype_, shape_, data_.get()}; }
  template <typename T>
  std::span<T> as() {
    return {reinterpret_cast<T*>(data_.get()), static_cast<std::size_t>(count())};
  }
  template <typename T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(data_.get()), static_cast<std::size_t>(count())};
  }

 private:
  struct Free {
    void operator()(std::byte* pointer) const noexcept;
  };
  DType dtype_ = DType::f32;
  Shape shape_;
  std::unique_ptr<std::byte[], Free> data_;
};

/// Converts element by element, rounding to nearest even; integers saturate nowhere: the caller
/// knows that they fit. `from.size() == count * dtype_size(from_type)` and likewise for `to`.
void convert(DType from_type, const std::byte* from, DType to_type, std::byte* to,
             std::size_t count);
Tensor converted(const TensorView& view, DType to);

}  // namespace tenon
