#include "serving/grpc/infer_codec.h"

#include <cstring>
#include <set>

#include "base/error.h"
#include "serving/kserve/parameters.h"

namespace tenon::serving::grpc {
namespace {

using kserve::InferTensor;
using Parameters = google::protobuf::Map<std::string, inference::InferParameter>;
using Input = inference::ModelInferRequest::InferInputTensor;

constexpr int kMaxTensors = 1024;

Json json_of(const Parameters& parameters) {
  Json made = Json::object();
  for (const auto& [name, value] : parameters) {
    switch (value.parameter_choice_case()) {
      case inference::InferParameter::kBoolParam:
        made[name] = value.bool_param();
        break;
      case inference::InferParameter::kInt64Param:
        made[name] = value.int64_param();
        break;
      case inference::InferParameter::kStringParam:
        made[name] = value.string_param();
        break;
      case inference::InferParameter::kDoubleParam:
        made[name] = value.double_param();
        break;
      case inference::InferParameter::kUint64Param:
        made[name] = value.uint64_param();
        break;
      case inference::InferParameter::PARAMETER_CHOICE_NOT_SET:
        bad_input("parameter \"{}\" has no value", name.substr(0, 60));
    }
  }
  return made;
}

void put_parameters(const Json& parameters, Parameters* to) {
  for (const auto& [name, value] : parameters.items()) {
    inference::InferParameter& one = (*to)[name];
    if (value.is_boolean())
      one.set_bool_param(value.get<bool>());
    else if (value.is_number_unsigned() && value.get<std::uint64_t>() > (1ULL << 62))
      one.set_uint64_param(value.get<std::uint64_t>());
    else if (value.is_number_integer())
      one.set_int64_param(value.get<std::int64_t>());
    else if (value.is_number())
      one.set_double_param(value.get<double>());
    else
      one.set_string_param(value.is_string() ? value.get<std::string>() : value.dump());
  }
}

Shape shape_of(const Input& input) {
  if (static_cast<std::size_t>(input.shape_size()) > kMaxRank)
    bad_input("input '{}': the shape has {} sizes, at most {} were expected", input.name(),
              input.shape_size(), kMaxRank);
  for (const auto size : input.shape()) {
    if (size < 0 || size > (std::int64_t{1} << 62))
      bad_input("input '{}': the shape holds {}, a size of 0 or more was expected", input.name(),
                size);
  }
  return {input.shape().begin(), input.shape().end()};
}

template <typename T, typename List>
Tensor narrowed(const Input& input, DType dtype, const Shape& shape, const List& list) {
  Tensor tensor(dtype, shape);
  std::size_t i = 0;
  for (const auto value : list) {
    const auto kept = static_cast<T>(value);
    if (static_cast<std::decay_t<decltype(value)>>(kept) != value && value == value)
      bad_input("input '{}': {} is beyond its datatype {}", input.name(), value, input.datatype());
    std::memcpy(tensor.data() + i++ * sizeof(T), &kept, sizeof(T));
  }
  return tensor;
}

std::int64_t contents_size(const inference::InferTensorContents& contents) {
  return std::int64_t{contents.bool_contents_size()} + contents.int_contents_size() +
         contents.int64_contents_size() + contents.uint_contents_size() +
         contents.uint64_contents_size() + contents.fp32_contents_size() +
         contents.fp64_contents_size() + contents.bytes_contents_size();
}

InferTensor typed(const Input& input) {
  Shape shape = shape_of(input);
  const auto& contents = input.contents();
  const auto count = element_count(shape);
  const auto checked = [&](const auto& list) -> const auto& {
    if (list.size() != count || contents_size(contents) != count)
      bad_input("input '{}': the contents for {} have {} elements, its shape {} needs {}",
                input.name(), input.datatype(), list.size(), to_string(shape), count);
    return list;
  };
  if (input.datatype() == "BYTES") {
    const auto& list = checked(contents.bytes_contents());
    return {input.name(), "BYTES", std::move(shape), kserve::Strings(list.begin(), list.end()), {}};
  }
  const DType dtype = kserve::dtype_of(input.datatype(), input.name());
  const auto made = [&]() -> Tensor {
    switch (dtype) {
      case DType::boolean:
        return narrowed<bool>(input, dtype, shape, checked(contents.bool_contents()));
      case DType::i8:
        return narrowed<std::int8_t>(input, dtype, shape, checked(contents.int_contents()));
      case DType::i16:
        return narrowed<std::int16_t>(input, dtype, shape, checked(contents.int_contents()));
      case DType::i32:
        return narrowed<std::int32_t>(input, dtype, shape, checked(contents.int_contents()));
      case DType::i64:
        return narrowed<std::int64_t>(input, dtype, shape, checked(contents.int64_contents()));
      case DType::u8:
        return narrowed<std::uint8_t>(input, dtype, shape, checked(contents.uint_contents()));
      case DType::f32:
        return narrowed<float>(input, dtype, shape, checked(contents.fp32_contents()));
      case DType::f64:
        return narrowed<double>(input, dtype, shape, checked(contents.fp64_contents()));
      case DType::f16:
      case DType::bf16:
        break;
    }
    bad_input("input '{}': {} has no typed contents: send it in raw_input_contents", input.name(),
              input.datatype());
  };
  Tensor tensor = made();
  return {input.name(), input.datatype(), std::move(shape), std::move(tensor), {}};
}

void check_name(const std::string& name, std::set<std::string>& seen, const char* where) {
  if (name.empty() || name.size() > 1024) bad_input("{}: a name is missing or too long", where);
  if (!seen.insert(name).second) bad_input("{}: '{}' stands twice", where, name);
}

void read_inputs(kserve::InferRequest& made, const inference::ModelInferRequest& message) {
  std::set<std::string> seen;
  const bool raw = message.raw_input_contents_size() > 0;
  int used = 0;
  for (const Input& input : message.inputs()) {
    check_name(input.name(), seen, "inputs");
    if (auto place = kserve::place_of(json_of(input.parameters()), input.name())) {
      if (input.has_contents())
        bad_input("input '{}': has contents beside its region of shared memory", input.name());
      made.inputs.push_back(
          {input.name(), input.datatype(), shape_of(input), kserve::Strings(), std::move(place)});
      continue;
    }
    if (!raw) {
      made.inputs.push_back(typed(input));
      continue;
    }
    if (input.has_contents() && contents_size(input.contents()) > 0)
      bad_input(
          "contents field must not be specified when using raw_input_contents for '{}' for model "
          "'{}'",
          input.name(), message.model_name());
    if (used == message.raw_input_contents_size())
      bad_input("expected raw_input_contents for input '{}', only {} were given", input.name(),
                used);
    made.inputs.push_back(kserve::tensor_of_bytes(input.name(), input.datatype(), shape_of(input),
                                                  message.raw_input_contents(used++)));
  }
  if (used != message.raw_input_contents_size())
    bad_input("unexpected number of raw_input_contents: {} were given, {} inputs take one",
              message.raw_input_contents_size(), used);
}

}  // namespace

kserve::InferRequest decoded(const inference::ModelInferRequest& message) {
  if (message.inputs_size() > kMaxTensors || message.outputs_size() > kMaxTensors)
    bad_input("a request has more than {} inputs or outputs", kMaxTensors);
  kserve::InferRequest made;
  made.id = message.id();
  made.parameters = json_of(message.parameters());
  read_inputs(made, message);
  std::set<std::string> seen;
  for (const auto& output : message.outputs()) {
    check_name(output.name(), seen, "outputs");
    kserve::WantedOutput wanted;
    wanted.name = output.name();
    kserve::read_wanted(wanted, json_of(output.parameters()));
    made.outputs.push_back(std::move(wanted));
  }
  return made;
}

inference::ModelInferResponse encoded(const kserve::InferAnswer& answer) {
  inference::ModelInferResponse message;
  message.set_model_name(answer.model);
  message.set_model_version(answer.version);
  message.set_id(answer.id);
  put_parameters(answer.parameters, message.mutable_parameters());
  for (const InferTensor& tensor : answer.outputs) {
    auto* one = message.add_outputs();
    one->set_name(tensor.name);
    one->set_datatype(tensor.datatype);
    for (const auto size : tensor.shape) one->add_shape(size);
    std::string* raw = message.add_raw_output_contents();
    if (tensor.place)
      put_parameters(kserve::parameters_of(*tensor.place), one->mutable_parameters());
    else
      *raw = kserve::bytes_of(tensor);
  }
  return message;
}

}  // namespace tenon::serving::grpc
