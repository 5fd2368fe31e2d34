#include "tensor/dtype.h"

#include <array>

#include "base/error.h"

namespace tenon {
namespace {

struct Row {
  std::string_view name;
  std::size_t bytes;
  std::int64_t onnx;
};
// In the order of the enumerators.
constexpr std::array<Row, 10> kRows = {{{"fp32", 4, 1},
                                        {"fp16", 2, 10},
                                        {"bf16", 2, 16},
                                        {"fp64", 8, 11},
                                        {"int8", 1, 3},
                                        {"uint8", 1, 2},
                                        {"int16", 2, 5},
                                        {"int32", 4, 6},
                                        {"int64", 8, 7},
                                        {"bool", 1, 9}}};

}  // namespace

std::size_t dtype_size(DType type) noexcept { return kRows[static_cast<std::size_t>(type)].bytes; }

std::string_view dtype_name(DType type) noexcept {
  return kRows[static_cast<std::size_t>(type)].name;
}

std::int64_t onnx_type(DType type) noexcept { return kRows[static_cast<std::size_t>(type)].onnx; }

DType parse_dtype(std::string_view name) {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (kRows[i].name == name) return static_cast<DType>(i);
  }
  fail(ErrorCode::usage,
       "'{}' is not an element type; one of fp32, fp16, bf16, fp64, int8, uint8, int16, "
       "int32, int64, bool was expected",
       name);
}

}  // namespace tenon
