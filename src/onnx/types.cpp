#include "onnx/types.h"

#include <array>

#include <fmt/format.h>

#include "onnx-ml.pb.h"

namespace tenon::onnx {
namespace {

using ::onnx::TensorProto;

struct Row {
  DType type;
  std::int32_t code;
};
constexpr std::array<Row, 10> kTypes = {{{DType::f32, TensorProto::FLOAT},
                                         {DType::f16, TensorProto::FLOAT16},
                                         {DType::bf16, TensorProto::BFLOAT16},
                                         {DType::f64, TensorProto::DOUBLE},
                                         {DType::i8, TensorProto::INT8},
                                         {DType::u8, TensorProto::UINT8},
                                         {DType::i16, TensorProto::INT16},
                                         {DType::i32, TensorProto::INT32},
                                         {DType::i64, TensorProto::INT64},
                                         {DType::boolean, TensorProto::BOOL}}};

}  // namespace

std::int32_t to_onnx(DType type) {
  for (const Row& row : kTypes) {
    if (row.type == type) return row.code;
  }
  return TensorProto::UNDEFINED;
}

std::optional<DType> from_onnx(std::int64_t type) {
  for (const Row& row : kTypes) {
    if (row.code == type) return row.type;
  }
  return std::nullopt;
}

std::string onnx_type_name(std::int64_t type) {
  if (type < 0 || type > TensorProto::DataType_MAX) return fmt::format("type {}", type);
  const auto code = static_cast<int>(type);
  if (!::onnx::TensorProto_DataType_IsValid(code)) return fmt::format("type {}", type);
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
