// The mask of an attention, broadcast to [batch, heads, queries, keys].
#pragma once

#include <array>
#include <cstdint>
#include <limits>

#include "kernels/cpu/any_float.h"

namespace tenon::kernels::cpu::attention {

/// Additive or boolean (false hides), broadcast from the right; keys beyond a short last axis are
/// hidden, unless it is of size 1 and `broadcast_keys`.
class Mask {
 public:
  static constexpr double kHidden = -std::numeric_limits<double>::infinity();

  Mask() : data_(DType::f32, nullptr) {}
  Mask(const TensorView& view, std::array<std::int64_t, 4> full, bool broadcast_keys)
      : data_(view),
        floats_(view.dtype == DType::f32 ? view.as<float>().data() : nullptr),
        bools_(view.dtype == DType::boolean ? view.data : nullptr),
        present_(true) {
    std::int64_t stride = 1;
    keys_ = view.shape.empty() ? 1 : view.shape.back();
    for (std::size_t i = 0; i < view.shape.size(); ++i) {
      const std::size_t from_right = view.shape.size() - 1 - i;
      const std::int64_t dim = view.shape[from_right];
      strides_[3 - i] = dim == 1 && full[3 - i] != 1 ? 0 : stride;
      stride *= dim;
    }
    if (keys_ == 1 && broadcast_keys) keys_ = full[3];
  }

  bool present() const { return present_; }

  double at(std::int64_t b, std::int64_t h, std::int64_t s, std::int64_t t) const {
    if (!present_) return 0.0;
    if (t >= keys_) return kHidden;
    const std::int64_t i = b * strides_[0] + h * strides_[1] + s * strides_[2] + t * strides_[3];
    if (bools_ != nullptr) return bools_[i] != std::byte{0} ? 0.0 : kHidden;
    return data_[i];
  }

  /// out[i] = factor times the mask of key first + i.
  void read(std::int64_t b, std::int64_t h, std::int64_t s, std::int64_t first, std::int64_t count,
            float factor, float* out) const {
    if (floats_ != nullptr && strides_[3] == 1 && first + count <= keys_) {
      const float* from = floats_ + b * strides_[0] + h * strides_[1] + s * strides_[2] + first;
      for (std::int64_t i = 0; i < count; ++i) out[i] = from[i] * factor;
      return;
    }
    for (std::int64_t i = 0; i < count; ++i)
      out[i] = static_cast<float>(at(b, h, s, first + i)) * factor;
  }

 private:
  FloatReader data_;
  const float* floats_ = nullptr;
  const std::byte* bools_ = nullptr;
  bool present_ = false;
  std::int64_t keys_ = 0;
  std::array<std::int64_t, 4> strides_{};
};

}  // namespace tenon::kernels::cpu::attention
