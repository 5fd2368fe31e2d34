#include "onnx/types.h"

#include <fmt/format.h>

#include "onnx-ml.pb.h"

namespace tenon::onnx {

std::optional<DType> from_onnx(std::int64_t type) {
  for (const DType candidate : {DType::f32, DType::f16, DType::bf16, DType::f64, DType::i8,
                                DType::u8, DType::i16, DType::i32, DType::i64, DType::boolean}) {
    if (onnx_type(candidate) == type) return candidate;
  }
  return std::nullopt;
}

std::string onnx_type_name(std::int64_t type) {
  const auto code = static_cast<int>(type);
  if (code != type || !::onnx::TensorProto_DataType_IsValid(code))
    return fmt::format("type {}", type);
  return ::onnx::TensorProto_DataType_Name(static_cast<::onnx::TensorProto_DataType>(code));
}

std::int64_t ir_version_for(int opset) {
  if (opset >= 23) return opset - 12;
  if (opset >= 21) return 10;
  return opset >= 19 ? 9 : 8;
}

void write_shape(const DimShape& shape, ::onnx::TensorShapeProto& out) {
  for (const Dim& dim : shape) {
    auto& written = *out.add_dim();
    if (const auto number = dim.constant()) {
      written.set_dim_value(*number);
    } else {
      written.set_dim_param(dim.to_string());
    }
  }
}

}  // namespace tenon::onnx
