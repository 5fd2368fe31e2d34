// The answer of an inference: JSON, and the bytes behind it.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "serving/kserve/infer_request.h"

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

std::string bytes_of(const InferTensor& tensor) {
  if (const auto* plain = std::get_if<Tensor>(&tensor.data))
    return {reinterpret_cast<const char*>(plain->data()), plain->bytes()};
  std::string bytes;
  for (const std::string& one : std::get<Strings>(tensor.data)) {
    const auto length = static_cast<std::uint32_t>(one.size());
    bytes.append(reinterpret_cast<const char*>(&length), sizeof length);
    bytes += one;
  }
  return bytes;
}

Json data_of(const InferTensor& tensor) {
  const auto* strings = std::get_if<Strings>(&tensor.data);
  return strings != nullptr ? Json(*strings) : values(std::get<Tensor>(tensor.data));
}

}  // namespace

InferTensor classified(const InferTensor& tensor, std::int64_t n) {
  const auto* plain = std::get_if<Tensor>(&tensor.data);
  if (plain == nullptr || tensor.shape.empty() || tensor.shape.back() == 0)
    bad_input("output '{}': classification needs numbers", tensor.name);
  const Tensor scores = converted(plain->view(), DType::f64);
  const auto width = static_cast<std::size_t>(tensor.shape.back());
  const auto count = std::min(static_cast<std::size_t>(n), width);
  Strings strings;
  for (std::size_t row = 0; row < scores.as<double>().size(); row += width) {
    const auto values_of_row = scores.as<double>().subspan(row, width);
    std::vector<std::size_t> order(width);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return values_of_row[a] > values_of_row[b];
    });
    for (std::size_t i = 0; i < count; ++i)
      strings.push_back(fmt::format("{:f}:{}", values_of_row[order[i]], order[i]));
  }
  Shape shape = tensor.shape;
  shape.back() = static_cast<std::int64_t>(count);
  return {tensor.name, std::move(shape), std::move(strings)};
}

http::Response encode_infer(InferAnswer answer, const InferRequest& request) {
  Json body = {{"model_name", answer.model}, {"model_version", answer.version}};
  if (!request.id.empty()) body["id"] = request.id;
  body["outputs"] = Json::array();
  std::string tail;
  bool has_tail = false;
  const auto add = [&](const InferTensor& tensor, bool binary) {
    Json one = {{"name", tensor.name}, {"datatype", tensor.datatype()}, {"shape", tensor.shape}};
    if (binary) {
      const std::string bytes = bytes_of(tensor);
      one["parameters"] = {{"binary_data_size", bytes.size()}};
      tail += bytes;
      has_tail = true;
    } else {
      one["data"] = data_of(tensor);
    }
    body["outputs"].push_back(std::move(one));
  };
  if (request.outputs.empty()) {
    for (const InferTensor& tensor : answer.outputs) add(tensor, request.all_binary);
  }
  for (const WantedOutput& wanted : request.outputs) {
    const auto found = std::find_if(answer.outputs.begin(), answer.outputs.end(),
                                    [&](const auto& one) { return one.name == wanted.name; });
    if (found == answer.outputs.end())
      bad_input("unexpected inference output '{}' for model '{}'", wanted.name, answer.model);
    add(wanted.classes > 0 ? classified(*found, wanted.classes) : *found, wanted.binary);
  }
  http::Response response;
  response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (has_tail) {
    response.headers.emplace_back("Inference-Header-Content-Length",
                                  std::to_string(response.body.size()));
    response.content_type = "application/octet-stream";
    response.body += tail;
  }
  return response;
}

}  // namespace tenon::serving::kserve
