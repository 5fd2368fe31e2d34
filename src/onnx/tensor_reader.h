// Tensors of an ONNX file as sources: views of the file wherever the bytes allow it.
#pragma once

#include <filesystem>
#include <memory>

#include "onnx/external_data.h"
#include "tensor/source.h"

namespace onnx {
class TensorProto;
}

namespace tenon::onnx {

class TensorReader {
 public:
  /// `model` owns every tensor that `read` is given; sources keep it alive.
  TensorReader(std::filesystem::path folder, std::shared_ptr<const void> model)
      : files_(std::move(folder)), model_(std::move(model)) {}

  /// Error(bad_input) names the tensor and what is wrong with its type, shape or bytes.
  SourcePtr read(const ::onnx::TensorProto& tensor);

 private:
  SourcePtr read_external(const ::onnx::TensorProto& tensor, DType type, const Shape& shape);

  ExternalFiles files_;
  std::shared_ptr<const void> model_;
};

}  // namespace tenon::onnx
