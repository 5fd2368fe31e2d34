// Names of sizes and modules as the graph wants them.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "tensor/dim.h"

namespace onnx {
class TensorShapeProto;
}

namespace tenon::onnx {

/// Shapes of the inputs of one model. Sizes without a name get one each: `<input>_dim_<axis>`.
class ShapeReader {
 public:
  DimShape read(const ::onnx::TensorShapeProto& shape, std::string_view input);

 private:
  Dim unnamed(std::string_view input, std::size_t axis);

  std::set<std::string, std::less<>> used_;
};

/// The name with every character that a symbol cannot have replaced by `_`.
std::string symbol_name(std::string_view text);
/// `model.layers.3.self_attn` of `/model/layers.3/self_attn/MatMul`; "" of a name without folders.
std::string module_of(std::string_view node_name);

}  // namespace tenon::onnx
