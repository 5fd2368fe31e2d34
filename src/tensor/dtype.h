// Element types of tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tenon {

enum class DType : unsigned char { f32, f16, bf16, f64, i8, u8, i16, i32, i64, boolean };

/// Bytes an element takes.
std::size_t dtype_size(DType type) noexcept;
/// `fp32 fp16 bf16 fp64 int8 uint8 int16 int32 int64 bool`: the names on the command line and in
/// reports.
std::string_view dtype_name(DType type) noexcept;
/// Throws Error(usage) for an unknown name.
DType parse_dtype(std::string_view name);
/// The number that ONNX's TensorProto.DataType gives the type, as the attribute "to" of Cast holds
/// it.
std::int64_t onnx_type(DType type) noexcept;
constexpr bool is_float(DType type) noexcept {
  return type == DType::f32 || type == DType::f16 || type == DType::bf16 || type == DType::f64;
}

}  // namespace tenon
