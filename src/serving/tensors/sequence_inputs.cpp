#include "serving/tensors/sequence_inputs.h"

#include <algorithm>
#include <cstring>

#include "serving/data_type.h"
#include "serving/tensors/tensor_contract.h"

namespace tenon::serving {
namespace {

using Batching = inference::ModelSequenceBatching;

const engine::Value& port(const engine::Engine& engine,
                          const std::vector<engine::ValueIndex>& ports, const std::string& name,
                          const char* what) {
  for (const auto index : ports) {
    const auto& value = engine.values[static_cast<std::size_t>(index)];
    if (value.name == name) return value;
  }
  bad_input("sequence_batching: the model has no {} '{}'", what, name);
}

// One value of a type, from a number.
Tensor filled(DType dtype, const Shape& shape, double value) {
  Tensor plain(DType::f64, shape);
  std::fill(plain.as<double>().begin(), plain.as<double>().end(), value);
  return converted(plain.view(), dtype);
}

}  // namespace

SequenceInputs::SequenceInputs(const engine::Engine& engine, const inference::ModelConfig& config) {
  if (!config.has_sequence_batching()) return;
  const Batching& batching = config.sequence_batching();
  for (const auto& control : batching.control_input()) read_control(engine, control);
  for (const auto& state : batching.state()) read_state(engine, config, state);
}

void SequenceInputs::read_control(const engine::Engine& engine,
                                  const Batching::ControlInput& from) {
  const engine::Value& value = port(engine, engine.inputs, from.name(), "input");
  if (from.control_size() != 1)
    bad_input("control_input '{}' has {} controls, 1 was expected", from.name(),
              from.control_size());
  const auto& control = from.control(0);
  Control made{value.name, value.dtype, {}, control.kind()};
  for (const Dim& dim : value.shape) {
    if (dim.constant().value_or(1) != 1)
      bad_input("control_input '{}' is {} in the model, one value a row was expected", value.name,
                to_string(value.shape));
    made.shape.push_back(1);
  }
  inference::DataType type = control.data_type();
  const auto read = [&](const auto& pair, inference::DataType of) {
    if (pair.empty()) return;
    if (pair.size() != 2)
      bad_input("control_input '{}': false_true has {} values, 2 were expected", value.name,
                pair.size());
    made.off = static_cast<double>(pair[0]);
    made.on = static_cast<double>(pair[1]);
    type = of;
  };
  if (made.kind == Batching::Control::CONTROL_SEQUENCE_CORRID) {
    if (type == inference::TYPE_STRING)
      bad_input(
          "control_input '{}': ids as TYPE_STRING are not supported; use TYPE_INT64 or "
          "TYPE_INT32",
          value.name);
  } else {
    read(control.int32_false_true(), inference::TYPE_INT32);
    read(control.fp32_false_true(), inference::TYPE_FP32);
    read(control.bool_false_true(), inference::TYPE_BOOL);
  }
  if (type != data_type(value.dtype))
    bad_input("control_input '{}' is {} in the configuration and {} in the model", value.name,
              inference::DataType_Name(type), inference::DataType_Name(data_type(value.dtype)));
  controls_.push_back(std::move(made));
}

void SequenceInputs::read_state(const engine::Engine& engine, const inference::ModelConfig& config,
                                const Batching::State& from) {
  const engine::Value& in = port(engine, engine.inputs, from.input_name(), "input");
  const engine::Value& out = port(engine, engine.outputs, from.output_name(), "output");
  if (in.dtype != out.dtype || data_type(in.dtype) != from.data_type())
    bad_input("state '{}': the configuration says {}, the model takes {} and gives {}", in.name,
              inference::DataType_Name(from.data_type()),
              inference::DataType_Name(data_type(in.dtype)),
              inference::DataType_Name(data_type(out.dtype)));
  State state{in.name, out.name, in.dtype, {}};
  if (config.max_batch_size() > 0) state.initial.push_back(1);
  auto dims = from.dims();
  if (from.initial_state_size() > 1)
    bad_input("state '{}' has {} initial states, 1 was expected", in.name,
              from.initial_state_size());
  if (from.initial_state_size() == 1) {
    const auto& initial = from.initial_state(0);
    if (initial.state_data_case() == Batching::InitialState::kDataFile)
      bad_input("state '{}': initial_state.data_file is not supported; use zero_data", in.name);
    if (!initial.dims().empty()) dims = initial.dims();
  }
  state.fixed = std::none_of(from.dims().begin(), from.dims().end(),
                             [](std::int64_t dim) { return dim < 0; });
  for (const std::int64_t dim : dims) {
    if (dim < 0)
      bad_input("state '{}': dims have -1; its initial_state must say how large it begins",
                in.name);
    state.initial.push_back(dim);
  }
  const bool fits = state.initial.size() == in.shape.size() &&
                    std::equal(in.shape.begin(), in.shape.end(), state.initial.begin(),
                               [](const Dim& has, std::int64_t dim) {
                                 return has.constant().value_or(dim) == dim;
                               });
  if (!fits || element_count(state.initial) > (std::int64_t{1} << 28))
    bad_input("state '{}' is {} in the model and begins as {}", in.name, to_string(in.shape),
              to_string(state.initial));
  state.shown = std::any_of(config.output().begin(), config.output().end(),
                            [&](const auto& output) { return output.name() == out.name; });
  states_.push_back(std::move(state));
}

void SequenceInputs::add(TensorMap& inputs, const SequencePlace& place,
                         const TensorMap& state) const {
  for (const Control& control : controls_) {
    if (control.kind == Batching::Control::CONTROL_SEQUENCE_CORRID) {
      const auto* id = std::get_if<std::uint64_t>(&place.id);
      if (id == nullptr)
        bad_input("the model takes the sequence's id as a number, and this one is a text");
      const auto number = static_cast<std::int64_t>(*id);
      inputs[control.name] =
          converted(Tensor::from_ints(control.shape, std::span(&number, 1)).view(), control.dtype);
      continue;
    }
    const bool on = control.kind == Batching::Control::CONTROL_SEQUENCE_READY ||
                    (control.kind == Batching::Control::CONTROL_SEQUENCE_START && place.start) ||
                    (control.kind == Batching::Control::CONTROL_SEQUENCE_END && place.end);
    inputs[control.name] = filled(control.dtype, control.shape, on ? control.on : control.off);
  }
  for (const State& one : states_) {
    const auto found = state.find(one.output);
    inputs[one.input] =
        found == state.end() ? filled(one.dtype, one.initial, 0) : Tensor(found->second);
  }
}

TensorMap SequenceInputs::take(TensorMap& outputs) const {
  TensorMap taken;
  for (const State& state : states_) {
    const auto found = outputs.find(state.output);
    if (state.shown) {
      taken.emplace(state.output, found->second);
    } else {
      taken.insert(outputs.extract(found));
    }
  }
  return taken;
}

bool SequenceInputs::varies() const {
  return std::any_of(states_.begin(), states_.end(), [](const State& one) { return !one.fixed; });
}

}  // namespace tenon::serving
