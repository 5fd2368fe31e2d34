#include "image/tensor_form.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tenon::image {

Tensor to_signed_tensor(const Image& image) {
  const Image rgb = to_rgb(image);
  Tensor tensor(DType::f32, {1, 3, rgb.height(), rgb.width()});
  const auto values = tensor.as<float>();
  const auto plane = static_cast<std::size_t>(rgb.height() * rgb.width());
  for (std::size_t i = 0; i < plane; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      const float unit = static_cast<float>(rgb.pixels()[i * 3 + c]) / 255.0F;
      values[c * plane + i] = 2.0F * unit - 1.0F;
    }
  }
  return tensor;
}

Tensor to_mask_tensor(const Image& image) {
  const Image gray = to_gray(image);
  Tensor tensor(DType::f32, {1, 1, gray.height(), gray.width()});
  std::transform(gray.pixels().begin(), gray.pixels().end(), tensor.as<float>().begin(),
                 [](std::uint8_t value) { return value >= 128 ? 1.0F : 0.0F; });
  return tensor;
}

std::vector<Image> from_signed_tensor(const TensorView& tensor) {
  const auto& shape = tensor.shape;
  if (tensor.dtype != DType::f32 || shape.size() != 4 || (shape[1] != 3 && shape[1] != 1)) {
    bad_input("a tensor of {} {} is no picture; expected fp32 [n, 3, height, width]",
              dtype_name(tensor.dtype), to_string(shape));
  }
  const auto channels = static_cast<std::size_t>(shape[1]);
  const auto plane = static_cast<std::size_t>(shape[2] * shape[3]);
  const float* values = tensor.as<float>().data();
  std::vector<Image> images;
  for (std::int64_t n = 0; n < shape[0]; ++n, values += channels * plane) {
    Image& image = images.emplace_back(shape[3], shape[2], static_cast<int>(channels));
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t i = 0; i < plane; ++i) {
        const float value = values[c * plane + i];
        if (std::isnan(value)) {
          fail(ErrorCode::check_failed, "picture {} is not a number at row {}, column {}", n,
               i / static_cast<std::size_t>(shape[3]), i % static_cast<std::size_t>(shape[3]));
        }
        const float unit = std::clamp(value * 0.5F + 0.5F, 0.0F, 1.0F);
        image.pixels()[i * channels + c] = static_cast<std::uint8_t>(std::nearbyint(unit * 255.0F));
      }
    }
  }
  return images;
}

}  // namespace tenon::image
