// What names mean while nodes are imported: in the graph, in a branch, in a function.
#pragma once

#include <map>
#include <optional>
#include <string>

#include <google/protobuf/repeated_ptr_field.h>

#include "graph/graph.h"
#include "onnx/upgrade.h"

namespace onnx {
class AttributeProto;
class NodeProto;
class TensorProto;
}  // namespace onnx

namespace tenon::onnx {

/// Borrows from the model that is being imported.
struct Scope {
  Scope* outer = nullptr;  ///< of a branch; a function sees nothing outside
  int opset = 0;
  std::string prefix;  ///< before the names of values and nodes of a function
  std::map<std::string, graph::ValueId, std::less<>> values;
  std::map<std::string, const ::onnx::TensorProto*, std::less<>> tensors;  ///< not all are read
  std::map<std::string, const ::onnx::AttributeProto*, std::less<>> arguments;

  /// Error(bad_input) when the name means something already.
  void define(const std::string& name, graph::ValueId value);
  /// The attribute itself or the function's argument that it refers to; nullptr when that is
  /// absent.
  const ::onnx::AttributeProto* resolve(const ::onnx::AttributeProto& attribute) const;
};

/// `node /model/MatMul (MatMul)`, for errors.
std::string describe_node(const ::onnx::NodeProto& node);
/// The single truth of a constant or of what inference found; nullopt when only a run can tell.
std::optional<bool> known_truth(const graph::Value& value);
/// Numbers and strings; Error(bad_input) names another kind.
Attribute plain_attribute(const ::onnx::AttributeProto& attribute);
/// A scalar or a vector.
Tensor constant_tensor(const Attribute& attribute);
/// Adds the names in these nodes and in their branches.
void collect_names(const google::protobuf::RepeatedPtrField<::onnx::NodeProto>& nodes,
                   ModelNames& names);

}  // namespace tenon::onnx
