// Any bytes as the body of an inference: an Error, or tensors that fill their shapes and are
// written back as they are. The first two bytes say how much of the rest is JSON.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "serving/kserve/infer_json.h"
#include "serving/kserve/parameters.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace kserve = tenon::serving::kserve;
  if (size < 2) return 0;
  const std::size_t length = data[0] + 256U * data[1];
  tenon::serving::http::Request request;
  request.body.assign(reinterpret_cast<const char*>(data) + 2, size - 2);
  if (length != 0xFFFF) request.headers["inference-header-content-length"] = std::to_string(length);
  try {
    const kserve::ParsedInfer parsed = kserve::parse_infer(request);
    (void)kserve::timeout_of(parsed.request.parameters);
    (void)kserve::sequence_of(parsed.request.parameters);
    kserve::InferAnswer answer;
    answer.model = "m";
    answer.version = "1";
    for (const kserve::InferTensor& tensor : parsed.request.inputs) {
      if (tensor.place) continue;
      const std::string bytes = kserve::bytes_of(tensor);
      if (kserve::bytes_of(
              kserve::tensor_of_bytes(tensor.name, tensor.datatype, tensor.shape, bytes)) != bytes)
        __builtin_trap();
      answer.outputs.push_back(tensor);
    }
    (void)kserve::encode_infer(answer, parsed);
  } catch (const tenon::Error& error) {
    if (error.code() == tenon::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
