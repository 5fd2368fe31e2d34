// Elements of a float type that is known only at run time, for reference kernels: read as double,
// written rounded once.
#pragma once

#include <cstdint>

#include "base/half.h"
#include "kernels/kernel.h"

namespace tenon::kernels::cpu {

class FloatReader {
 public:
  explicit FloatReader(const TensorView& view) : dtype_(view.dtype), data_(view.data) {}
  FloatReader(DType dtype, const std::byte* data) : dtype_(dtype), data_(data) {}

  bool present() const { return data_ != nullptr; }
  double operator[](std::int64_t i) const {
    switch (dtype_) {
      case DType::f32:
        return static_cast<double>(reinterpret_cast<const float*>(data_)[i]);
      case DType::f16:
        return static_cast<double>(static_cast<float>(reinterpret_cast<const Float16*>(data_)[i]));
      case DType::bf16:
        return static_cast<double>(static_cast<float>(reinterpret_cast<const BFloat16*>(data_)[i]));
      default:
        return reinterpret_cast<const double*>(data_)[i];
    }
  }

 private:
  DType dtype_;
  const std::byte* data_;
};

class FloatWriter {
 public:
  explicit FloatWriter(const MutableTensorView& view) : dtype_(view.dtype), data_(view.data) {}
  FloatWriter(DType dtype, std::byte* data) : dtype_(dtype), data_(data) {}

  void set(std::int64_t i, double value) const {
    switch (dtype_) {
      case DType::f32:
        reinterpret_cast<float*>(data_)[i] = static_cast<float>(value);
        break;
      case DType::f16:
        reinterpret_cast<Float16*>(data_)[i] = Float16(static_cast<float>(value));
        break;
      case DType::bf16:
        reinterpret_cast<BFloat16*>(data_)[i] = BFloat16(static_cast<float>(value));
        break;
      default:
        reinterpret_cast<double*>(data_)[i] = value;
    }
  }

 private:
  DType dtype_;
  std::byte* data_;
};

}  // namespace tenon::kernels::cpu
