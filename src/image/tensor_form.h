// Pictures as the float tensors that models take and give.
#pragma once

#include <vector>

#include "image/image.h"
#include "tensor/tensor.h"

namespace tenon::image {

/// float32 [1, 3, height, width], v / 255 * 2 - 1 in [-1, 1].
Tensor to_signed_tensor(const Image& image);
/// float32 [1, 1, height, width]: 1 where the grey value is 128 or more, 0 elsewhere.
Tensor to_mask_tensor(const Image& image);
/// float32 [n, 3 or 1, height, width] to n pictures: round(clamp(v / 2 + 0.5, 0, 1) * 255), halves
/// to even. Error(check_failed) when a value is not a number.
std::vector<Image> from_signed_tensor(const TensorView& tensor);

}  // namespace tenon::image
