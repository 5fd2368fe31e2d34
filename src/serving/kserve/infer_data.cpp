#include "serving/kserve/infer_data.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "base/error.h"

namespace tenon::serving::kserve {
namespace {

Strings split_strings(std::string_view bytes, std::size_t count, const std::string& name) {
  Strings strings;
  while (!bytes.empty()) {
    std::uint32_t length = 0;
    if (bytes.size() < sizeof length) bad_input("input '{}': a length of 4 bytes is cut off", name);
    std::memcpy(&length, bytes.data(), sizeof length);
    bytes.remove_prefix(sizeof length);
    if (length > bytes.size())
      bad_input("input '{}': an element claims {} bytes, {} are left", name, length, bytes.size());
    strings.emplace_back(bytes.substr(0, length));
    bytes.remove_prefix(length);
  }
  if (strings.size() != count)
    bad_input("input '{}': has {} elements, its shape needs {}", name, strings.size(), count);
  return strings;
}

}  // namespace

DType dtype_of(std::string_view datatype, const std::string& input) {
  if (const auto type = dtype_named(datatype)) return *type;
  bad_input("input '{}' has the datatype '{}', which no model here takes", input,
            datatype.substr(0, 40));
}

InferTensor tensor_of_bytes(const std::string& name, std::string_view datatype, Shape shape,
                            std::string_view bytes) {
  const auto count = static_cast<std::size_t>(element_count(shape));
  if (datatype == "BYTES") {
    Strings strings = split_strings(bytes, count, name);
    return {name, "BYTES", std::move(shape), std::move(strings), {}};
  }
  const DType dtype = dtype_of(datatype, name);
  if (count * dtype_size(dtype) != bytes.size()) {
    bad_input("input '{}': has {} bytes, its shape {} needs {}", name, bytes.size(),
              to_string(shape), count * dtype_size(dtype));
  }
  Tensor tensor(dtype, shape);
  if (!bytes.empty()) std::memcpy(tensor.data(), bytes.data(), bytes.size());
  if (dtype == DType::boolean) {
    for (const std::uint8_t one : tensor.as<std::uint8_t>()) {
      if (one > 1) bad_input("input '{}': a BOOL is {}, 0 or 1 was expected", name, one);
    }
  }
  return {name, std::string(datatype), std::move(shape), std::move(tensor), {}};
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

InferTensor output_of(std::string name, Tensor tensor) {
  Shape shape = tensor.shape();
  std::string datatype(datatype_name(tensor.dtype()));
  return {std::move(name), std::move(datatype), std::move(shape), std::move(tensor), {}};
}

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
  return {tensor.name, "BYTES", std::move(shape), std::move(strings), {}};
}

}  // namespace tenon::serving::kserve
