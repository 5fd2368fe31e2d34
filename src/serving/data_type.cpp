#include "serving/data_type.h"

#include "base/error.h"

namespace tenon::serving {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  inference::DataType type;
};

constexpr Row kRows[] = {
    {DType::f32, "FP32", inference::TYPE_FP32},   {DType::f16, "FP16", inference::TYPE_FP16},
    {DType::bf16, "BF16", inference::TYPE_BF16},  {DType::f64, "FP64", inference::TYPE_FP64},
    {DType::i8, "INT8", inference::TYPE_INT8},    {DType::u8, "UINT8", inference::TYPE_UINT8},
    {DType::i16, "INT16", inference::TYPE_INT16}, {DType::i32, "INT32", inference::TYPE_INT32},
    {DType::i64, "INT64", inference::TYPE_INT64}, {DType::boolean, "BOOL", inference::TYPE_BOOL},
};

const Row& row_of(DType dtype) {
  for (const Row& row : kRows)
    if (row.dtype == dtype) return row;
  fail(ErrorCode::internal, "{} has no name in KServe v2", dtype_name(dtype));
}

}  // namespace

std::string_view datatype_name(DType type) { return row_of(type).name; }

std::optional<DType> dtype_named(std::string_view datatype) {
  for (const Row& row : kRows)
    if (row.name == datatype) return row.dtype;
  return std::nullopt;
}

inference::DataType data_type(DType type) { return row_of(type).type; }

std::optional<DType> dtype_of(inference::DataType type) {
  for (const Row& row : kRows)
    if (row.type == type) return row.dtype;
  return std::nullopt;
}

}  // namespace tenon::serving
