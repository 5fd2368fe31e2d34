#include "onnx/versions.h"

#include "base/error.h"
#include "onnx-ml.pb.h"
#include "onnx/types.h"

namespace tenon::onnx {
namespace {

constexpr std::int64_t kMinIr = 3;
constexpr std::int64_t kMaxIr = 14;

}  // namespace

std::string standard_domain(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

int standard_opset(const google::protobuf::RepeatedPtrField<::onnx::OperatorSetIdProto>& imports) {
  for (const auto& import : imports) {
    if (!standard_domain(import.domain()).empty()) continue;
    if (import.version() < kOldestRead || import.version() > kNewest) {
      Error error(ErrorCode::bad_input, fmt::format("opset {} is not supported, {} to {} are",
                                                    import.version(), kOldestRead, kNewest));
      throw error.hint("convert it with onnx.version_converter.convert_version");
    }
    return static_cast<int>(import.version());
  }
  return 0;
}

void check_model(const ::onnx::ModelProto& model) {
  if (!model.has_graph()) bad_input("not an ONNX model: it has no graph");
  if (model.ir_version() < kMinIr || model.ir_version() > kMaxIr) {
    bad_input("IR version {} is not supported, {} to {} are", model.ir_version(), kMinIr, kMaxIr);
  }
  if (standard_opset(model.opset_import()) == 0) {
    bad_input("the model names no opset of the standard operators");
  }
}

}  // namespace tenon::onnx
