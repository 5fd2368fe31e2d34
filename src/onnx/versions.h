// Which versions and operator domains a model may name.
#pragma once

#include <string>

#include <google/protobuf/repeated_ptr_field.h>

namespace onnx {
class ModelProto;
class OperatorSetIdProto;
}  // namespace onnx

namespace tenon::onnx {

/// "" for the standard operators, whose domain has two names.
std::string standard_domain(const std::string& domain);
/// The opset of the standard operators; 0 when none is named. Error(bad_input) outside kOldestRead
/// to kNewest.
int standard_opset(const google::protobuf::RepeatedPtrField<::onnx::OperatorSetIdProto>& imports);
/// Error(bad_input) when there is no graph or a version is not understood.
void check_model(const ::onnx::ModelProto& model);

}  // namespace tenon::onnx
