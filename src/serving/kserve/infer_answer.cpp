// The answer of an inference: JSON, and the bytes behind it.
#include "base/error.h"
#include "serving/kserve/infer_json.h"
#include "serving/kserve/parameters.h"

namespace tenon::serving::kserve {
namespace {

template <typename T>
Json numbers(const Tensor& tensor) {
  Json list = Json::array();
  for (const T value : tensor.as<T>()) list.push_back(value);
  return list;
}

Json values(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::f32:
      return numbers<float>(tensor);
    case DType::f64:
      return numbers<double>(tensor);
    case DType::f16:
    case DType::bf16:
      return numbers<float>(converted(tensor.view(), DType::f32));
    case DType::i8:
      return numbers<std::int8_t>(tensor);
    case DType::u8:
      return numbers<std::uint8_t>(tensor);
    case DType::i16:
      return numbers<std::int16_t>(tensor);
    case DType::i32:
      return numbers<std::int32_t>(tensor);
    case DType::i64:
      return numbers<std::int64_t>(tensor);
    case DType::boolean:
      return numbers<bool>(tensor);
  }
  return {};
}

Json data_of(const InferTensor& tensor) {
  const auto* strings = std::get_if<Strings>(&tensor.data);
  return strings != nullptr ? Json(*strings) : values(std::get<Tensor>(tensor.data));
}

}  // namespace

http::Response encode_infer(const InferAnswer& answer, const ParsedInfer& request) {
  Json body = {{"model_name", answer.model}, {"model_version", answer.version}};
  if (!answer.id.empty()) body["id"] = answer.id;
  if (!answer.parameters.empty()) body["parameters"] = answer.parameters;
  body["outputs"] = Json::array();
  std::string tail;
  bool has_tail = false;
  for (const InferTensor& tensor : answer.outputs) {
    Json one = {{"name", tensor.name}, {"datatype", tensor.datatype}, {"shape", tensor.shape}};
    const auto named = request.binary.find(tensor.name);
    if (tensor.place) {
      one["parameters"] = parameters_of(*tensor.place);
    } else if (named == request.binary.end() ? request.all_binary : named->second) {
      const std::string bytes = bytes_of(tensor);
      one["parameters"] = {{"binary_data_size", bytes.size()}};
      tail += bytes;
      has_tail = true;
    } else {
      one["data"] = data_of(tensor);
    }
    body["outputs"].push_back(std::move(one));
  }
  http::Response response;
  response.body = json_text(body);
  if (has_tail) {
    response.headers.emplace_back("Inference-Header-Content-Length",
                                  std::to_string(response.body.size()));
    response.content_type = "application/octet-stream";
    response.body += tail;
  }
  return response;
}

}  // namespace tenon::serving::kserve
