// Element types, shapes and versions as ONNX writes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tensor/dim.h"
#include "tensor/dtype.h"

namespace onnx {
class TensorShapeProto;
}

namespace tenon::onnx {

/// The opsets that can be written; 9 is the oldest that can be read.
inline constexpr int kOldestRead = 9;
inline constexpr int kOldestWritten = 17;
inline constexpr int kNewest = 25;

/// The element type of a TensorProto.DataType; nullopt where Tenon has no such type.
std::optional<DType> from_onnx(std::int64_t type);
/// `FLOAT16`, `STRING`; `type 99` for an unknown number.
std::string onnx_type_name(std::int64_t type);

/// The IR version that goes with an opset between kOldestWritten and kNewest.
std::int64_t ir_version_for(int opset);

void write_shape(const DimShape& shape, ::onnx::TensorShapeProto& out);

}  // namespace tenon::onnx
