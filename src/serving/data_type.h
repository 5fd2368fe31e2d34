// Element types as KServe v2 and Triton's configurations name them.
#pragma once

#include <optional>
#include <string_view>

#include <model_config.pb.h>

#include "tensor/dtype.h"

namespace tenon::serving {

/// "FP32", ...; BYTES has no DType.
std::string_view datatype_name(DType type);
/// The other way; nothing for names that no model here computes with.
std::optional<DType> dtype_named(std::string_view datatype);

/// TYPE_FP32, ...
inference::DataType data_type(DType type);
/// The other way; nothing for types that no model here computes with.
std::optional<DType> dtype_of(inference::DataType type);

}  // namespace tenon::serving
