#include "serving/kserve/infer_json.h"

#include <charconv>
#include <cstring>
#include <set>

#include "base/error.h"
#include "serving/kserve/parameters.h"

namespace tenon::serving::kserve {
namespace {

constexpr std::size_t kMaxTensors = 1024;
// Numbers as JSON take many times their size in memory; larger tensors come as bytes.
constexpr std::size_t kMaxJson = std::size_t{16} << 20;

std::string shortened(const Json& value) { return json_text(value).substr(0, 60); }

Shape shape_of(const Json& input, const std::string& name) {
  const Json* field = find_field(input, "shape");
  if (field == nullptr || !field->is_array() || field->size() > kMaxRank)
    bad_input("input '{}': \"shape\" is missing or no list of at most {} sizes", name, kMaxRank);
  Shape shape;
  for (const Json& size : *field) {
    const bool fits = size.is_number_unsigned() && size.get<std::uint64_t>() <= (1ULL << 62);
    if (!fits)
      bad_input("input '{}': \"shape\" holds {}, a size of 0 or more was expected", name,
                shortened(size));
    shape.push_back(size.get<std::int64_t>());
  }
  return shape;
}

template <typename T>
T integer(const Json& value, const std::string& name) {
  const bool fits =
      value.is_number_unsigned()
          ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<T>::max())
          : value.is_number_integer() && value.get<std::int64_t>() >= std::numeric_limits<T>::min();
  if (!fits)
    bad_input("input '{}': {} is no integer from {} to {}", name, shortened(value),
              std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
  return static_cast<T>(value.get<std::int64_t>());
}

double real(const Json& value, double largest, const std::string& name) {
  if (!value.is_number()) bad_input("input '{}': {} is no number", name, shortened(value));
  const double number = value.get<double>();
  if (!(std::abs(number) <= largest))
    bad_input("input '{}': {} is beyond the largest number of its datatype", name,
              shortened(value));
  return number;
}

void put(Tensor& tensor, std::size_t i, const Json& value, const std::string& name) {
  const auto store = [&](auto typed) {
    std::memcpy(tensor.data() + i * sizeof typed, &typed, sizeof typed);
  };
  switch (tensor.dtype()) {
    case DType::f64:
      return store(real(value, std::numeric_limits<double>::max(), name));
    case DType::f32:
      return store(static_cast<float>(real(value, std::numeric_limits<float>::max(), name)));
    case DType::f16:
    case DType::bf16: {
      const double largest =
          tensor.dtype() == DType::f16 ? 65504 : std::numeric_limits<float>::max();
      const auto number = static_cast<float>(real(value, largest, name));
      return convert(DType::f32, reinterpret_cast<const std::byte*>(&number), tensor.dtype(),
                     tensor.data() + i * 2, 1);
    }
    case DType::i8:
      return store(integer<std::int8_t>(value, name));
    case DType::u8:
      return store(integer<std::uint8_t>(value, name));
    case DType::i16:
      return store(integer<std::int16_t>(value, name));
    case DType::i32:
      return store(integer<std::int32_t>(value, name));
    case DType::i64:
      return store(integer<std::int64_t>(value, name));
    case DType::boolean:
      if (value.is_boolean()) return store(value.get<bool>());
      if (value == 0 || value == 1) return store(value == 1);
      bad_input("input '{}': {} is neither true nor false", name, shortened(value));
  }
}

// All elements in order. Lists are either nested exactly as the shape, or one flat list.
template <typename Visit>
void each(const Json& data, std::span<const std::int64_t> shape, const std::string& name,
          const Visit& visit) {
  if (!data.is_array() || shape.empty() || data.size() != static_cast<std::size_t>(shape.front())) {
    bad_input("input '{}': \"data\" is not nested as its shape", name);
  }
  for (const Json& one : data) {
    if (shape.size() > 1)
      each(one, shape.subspan(1), name, visit);
    else
      visit(one);
  }
}

template <typename Visit>
void each_of(const Json& data, const Shape& shape, const std::string& name, const Visit& visit) {
  const auto count = static_cast<std::size_t>(element_count(shape));
  if (!data.is_array()) bad_input("input '{}': \"data\" is no list", name);
  if (!data.empty() && data.front().is_array()) return each(data, shape, name, visit);
  if (data.size() != count) {
    bad_input("input '{}': \"data\" has {} elements, the shape {} needs {}", name, data.size(),
              to_string(shape), count);
  }
  for (const Json& one : data) visit(one);
}

InferTensor from_json(const std::string& name, Shape shape, const std::string& datatype,
                      const Json& data) {
  if (datatype == "BYTES") {
    Strings strings;
    each_of(data, shape, name, [&](const Json& one) {
      if (!one.is_string()) bad_input("input '{}': {} is no string", name, shortened(one));
      strings.push_back(one.get<std::string>());
    });
    return {name, datatype, std::move(shape), std::move(strings), {}};
  }
  const DType dtype = dtype_of(datatype, name);
  // Before the tensor is made: the elements must be there.
  if (static_cast<std::size_t>(element_count(shape)) > kMaxJson)
    bad_input("input '{}': the shape {} needs more elements than the body can hold", name,
              to_string(shape));
  Tensor tensor(dtype, shape);
  std::size_t i = 0;
  each_of(data, shape, name, [&](const Json& one) {
    if (i < static_cast<std::size_t>(tensor.count())) put(tensor, i, one, name);
    ++i;
  });
  return {name, datatype, std::move(shape), std::move(tensor), {}};
}

const Json& parameters_of(const Json& object, const std::string& where) {
  static const Json kNone = Json::object();
  const Json* found = find_field(object, "parameters");
  if (found == nullptr) return kNone;
  if (!found->is_object()) bad_input("{}: \"parameters\" is no object", where);
  return *found;
}

const Json& list_of(const Json& object, const char* key) {
  static const Json kNone = Json::array();
  const Json* found = find_field(object, key);
  if (found == nullptr) return kNone;
  if (!found->is_array() || found->size() > kMaxTensors)
    bad_input("\"{}\" is no list of at most {} tensors", key, kMaxTensors);
  return *found;
}

std::string name_of(const Json& tensor, const char* where, std::set<std::string>& seen) {
  if (!tensor.is_object()) bad_input("\"{}\" holds something else than objects", where);
  std::string name = get_string(tensor, "name", "");
  if (name.empty() || name.size() > 1024) bad_input("\"{}\": a name is missing or too long", where);
  if (!seen.insert(name).second) bad_input("\"{}\": '{}' stands twice", where, name);
  return name;
}

std::size_t json_length(const http::Request& request) {
  const std::string_view given = request.header("inference-header-content-length");
  if (given.empty()) return request.body.size();
  std::size_t length = 0;
  const auto read = std::from_chars(given.data(), given.data() + given.size(), length);
  if (read.ec != std::errc() || read.ptr != given.data() + given.size() ||
      length > request.body.size()) {
    bad_input("Inference-Header-Content-Length is '{}', expected 0 to the {} bytes of the body",
              given.substr(0, 40), request.body.size());
  }
  return length;
}

void read_inputs(InferRequest& made, const Json& body, std::string_view bytes) {
  std::set<std::string> seen;
  for (const Json& input : list_of(body, "inputs")) {
    const std::string name = name_of(input, "inputs", seen);
    const std::string datatype = get_string(input, "datatype", "");
    Shape shape = shape_of(input, name);
    const Json& parameters = parameters_of(input, name);
    const Json* data = find_field(input, "data");
    if (auto place = place_of(parameters, name)) {
      if (data != nullptr || find_field(parameters, "binary_data_size") != nullptr)
        bad_input("input '{}': has data beside its region of shared memory", name);
      made.inputs.push_back({name, datatype, std::move(shape), Strings(), std::move(place)});
      continue;
    }
    if (find_field(parameters, "binary_data_size") == nullptr) {
      if (data == nullptr) bad_input("input '{}': has neither \"data\" nor binary_data_size", name);
      made.inputs.push_back(from_json(name, std::move(shape), datatype, *data));
      continue;
    }
    if (data != nullptr) bad_input("input '{}': has both \"data\" and binary_data_size", name);
    const auto size = static_cast<std::size_t>(
        get_int(parameters, "binary_data_size", 0, std::numeric_limits<std::int64_t>::max()));
    if (size > bytes.size())
      bad_input("input '{}': binary_data_size is {}, {} bytes are left in the body", name, size,
                bytes.size());
    made.inputs.push_back(tensor_of_bytes(name, datatype, std::move(shape), bytes.substr(0, size)));
    bytes.remove_prefix(size);
  }
  if (!bytes.empty()) bad_input("{} bytes are left behind the data of all inputs", bytes.size());
}

}  // namespace

ParsedInfer parse_infer(const http::Request& request) {
  const std::size_t length = json_length(request);
  if (length > kMaxJson)
    bad_input("the JSON has {} bytes, at most {} were expected: send tensors as binary data",
              length, kMaxJson);
  const Json body = parse_json(std::string_view(request.body).substr(0, length), "request");
  if (!body.is_object()) bad_input("request: a JSON object was expected");
  ParsedInfer made;
  made.request.id = get_string(body, "id", "");
  made.request.parameters = parameters_of(body, "request");
  made.all_binary = get_bool(made.request.parameters, "binary_data_output", false);
  read_inputs(made.request, body, std::string_view(request.body).substr(length));
  std::set<std::string> seen;
  for (const Json& output : list_of(body, "outputs")) {
    WantedOutput wanted;
    wanted.name = name_of(output, "outputs", seen);
    const Json& parameters = parameters_of(output, wanted.name);
    made.binary[wanted.name] = get_bool(parameters, "binary_data", made.all_binary);
    read_wanted(wanted, parameters);
    made.request.outputs.push_back(std::move(wanted));
  }
  return made;
}

}  // namespace tenon::serving::kserve
