// Values of an engine as the source model knows them, whatever passes did to their order.
#pragma once

#include <string_view>

#include "tensor/tensor.h"

namespace tenon::verify {

/// The name of the value in the source model: without the mark of channels-last order.
std::string_view source_name(std::string_view name);

/// The elements in the order of the source model. `name` is the value's in its engine: a marked one
/// lies [N, spatial..., C] and is given [N, C, spatial...]; others are copied as they are.
Tensor in_source_order(std::string_view name, const TensorView& view);

}  // namespace tenon::verify
