#include "serving/tensors/tensor_contract.h"

#include <algorithm>

#include "serving/data_type.h"
#include "serving/tensors/batch_policy.h"
#include "serving/tensors/batchable.h"

namespace tenon::serving {
namespace {

TensorSpec spec_of(const engine::Value& value) {
  TensorSpec spec{value.name, value.dtype, {}};
  for (const Dim& dim : value.shape) spec.shape.push_back(dim.constant().value_or(-1));
  return spec;
}

// The dims that a configuration gives narrow those of the model.
template <typename Port>
void narrow(TensorSpec& spec, const Port& port, bool batches, const std::string& model) {
  if (port.data_type() != data_type(spec.dtype))
    bad_input(
        "unable to load model '{}', configuration expects datatype {} for '{}', model "
        "provides {}",
        model, inference::DataType_Name(port.data_type()), spec.name,
        inference::DataType_Name(data_type(spec.dtype)));
  Shape given;
  if (batches) given.push_back(-1);
  given.insert(given.end(), port.dims().begin(), port.dims().end());
  const bool fits = given.size() == spec.shape.size() &&
                    std::equal(given.begin(), given.end(), spec.shape.begin(),
                               [](auto ours, auto has) { return has < 0 || ours == has; });
  if (!fits)
    bad_input(
        "model '{}', tensor '{}': the model expects shape {}, but the model configuration "
        "specifies shape {}{}",
        model, spec.name, to_string(spec.shape), to_string(given),
        batches ? " (the first one is the batch: max_batch_size is not 0)" : "");
  spec.shape = std::move(given);
}

template <typename Ports>
void put(Ports& ports, const TensorSpec& spec, bool batches) {
  auto* port = ports.Add();
  port->set_name(spec.name);
  port->set_data_type(data_type(spec.dtype));
  for (std::size_t i = batches ? 1 : 0; i < spec.shape.size(); ++i) port->add_dims(spec.shape[i]);
}

template <typename Ports>
auto* port_named(Ports& ports, const std::string& name) {
  const auto found =
      std::find_if(ports.begin(), ports.end(), [&](const auto& one) { return one.name() == name; });
  return found == ports.end() ? nullptr : &*found;
}

// Names that the sequence batcher fills and takes itself.
std::set<std::string> hidden_inputs(const inference::ModelConfig& config) {
  std::set<std::string> names;
  for (const auto& control : config.sequence_batching().control_input())
    names.insert(control.name());
  for (const auto& state : config.sequence_batching().state()) names.insert(state.input_name());
  return names;
}

std::set<std::string> hidden_outputs(const inference::ModelConfig& config) {
  std::set<std::string> names;
  for (const auto& state : config.sequence_batching().state()) names.insert(state.output_name());
  for (const auto& output : config.output()) names.erase(output.name());
  return names;
}

template <typename Ports>
std::vector<TensorSpec> settle(const engine::Engine& engine,
                               const std::vector<engine::ValueIndex>& indices, Ports& ports,
                               const std::set<std::string>& hidden, bool batches, const char* what,
                               const std::string& model) {
  std::vector<TensorSpec> specs;
  std::set<std::string> names;
  for (const auto index : indices) {
    TensorSpec spec = spec_of(engine.values[static_cast<std::size_t>(index)]);
    names.insert(spec.name);
    if (hidden.contains(spec.name)) continue;
    if (const auto* port = port_named(ports, spec.name)) {
      narrow(spec, *port, batches, model);
    } else {
      put(ports, spec, batches);
    }
    specs.push_back(std::move(spec));
  }
  std::string known;
  for (const std::string& name : names) known += (known.empty() ? "" : ", ") + name;
  for (const auto& port : ports) {
    if (!names.contains(port.name()))
      bad_input("unexpected inference {} '{}', allowed {}s of model '{}' are: {}", what,
                port.name(), what, model, known);
  }
  for (const std::string& name : hidden) {
    if (!names.contains(name))
      bad_input("sequence_batching names the {} '{}', the {}s of model '{}' are: {}", what, name,
                what, model, known);
  }
  return specs;
}

}  // namespace

TensorContract::TensorContract(const engine::Engine& engine, inference::ModelConfig config,
                               const std::string& name)
    : name_(name), config_(std::move(config)) {
  config_.set_name(name);
  if (config_.platform().empty() && config_.backend().empty()) config_.set_platform("tenon");
  settle_batching(engine);
  settle_ports(engine);
  if (config_.instance_group().empty()) config_.add_instance_group();
  for (int i = 0; i < config_.instance_group_size(); ++i) {
    auto& group = *config_.mutable_instance_group(i);
    if (group.name().empty()) group.set_name(fmt::format("{}_{}", name, i));
    group.set_count(std::max(1, group.count()));
    group.set_kind(inference::ModelInstanceGroup::KIND_CPU);
  }
}

void TensorContract::settle_batching(const engine::Engine& engine) {
  is_limit_given_ = config_.max_batch_size() > 0 || config_.has_sequence_batching();
  const std::string why = why_not_batchable(engine);
  if (config_.max_batch_size() > 0) {
    // What the configuration asserts about rows is believed; that there are any must be seen.
    for (const auto index : engine.inputs) {
      const auto& value = engine.values[static_cast<std::size_t>(index)];
      if (value.shape.empty() || value.shape.front().constant())
        throw Error(ErrorCode::bad_input, fmt::format("model '{}': max_batch_size is {}, but {}",
                                                      name_, config_.max_batch_size(), why))
            .hint("set max_batch_size to 0, and give dims with all dimensions");
    }
    return;
  }
  const bool is_ours = config_.input().empty() && !config_.has_sequence_batching();
  if (!is_ours || !why.empty()) {
    if (config_.has_dynamic_batching() &&
        !config_.dynamic_batching().preferred_batch_size().empty())
      bad_input("model '{}': dynamic batching preferred size must be <= max batch size, which is 0",
                name_);
    return;
  }
  config_.set_max_batch_size(kDefaultMaxBatch);
  if (config_.scheduling_choice_case() == inference::ModelConfig::SCHEDULING_CHOICE_NOT_SET)
    config_.mutable_dynamic_batching();
}

void TensorContract::settle_ports(const engine::Engine& engine) {
  const auto inputs = hidden_inputs(config_);
  const auto outputs = hidden_outputs(config_);
  inputs_ =
      settle(engine, engine.inputs, *config_.mutable_input(), inputs, batches(), "input", name_);
  outputs_ = settle(engine, engine.outputs, *config_.mutable_output(), outputs, batches(), "output",
                    name_);
}

TensorContract::Checked TensorContract::check(const TensorMap& inputs) const {
  Checked checked;
  bool is_first = true;
  for (const TensorSpec& spec : inputs_) {
    const auto found = inputs.find(spec.name);
    if (found == inputs.end())
      bad_input("expected {} inputs but got {} inputs for model '{}': input '{}' is missing",
                inputs_.size(), inputs.size(), name_, spec.name);
    const Tensor& tensor = found->second;
    if (tensor.dtype() != spec.dtype)
      bad_input("inference input '{}' data-type is '{}', but model '{}' expects '{}'", spec.name,
                dtype_name(tensor.dtype()), name_, dtype_name(spec.dtype));
    const Shape& shape = tensor.shape();
    if (shape.size() != spec.shape.size() ||
        !std::equal(shape.begin(), shape.end(), spec.shape.begin(),
                    [](auto has, auto wanted) { return wanted < 0 || wanted == has; }))
      bad_input("unexpected shape for input '{}' for model '{}'. Expected {}, got {}", spec.name,
                name_, to_string(spec.shape), to_string(shape));
    checked.bytes += static_cast<std::int64_t>(tensor.bytes());
    if (batches()) {
      if (!is_first && shape.front() != checked.rows)
        bad_input("input '{}' batch size does not match other inputs for '{}': {} and {}",
                  spec.name, name_, shape.front(), checked.rows);
      checked.rows = shape.front();
      checked.shape.insert(checked.shape.end(), shape.begin() + 1, shape.end());
    }
    is_first = false;
  }
  if (inputs.size() != inputs_.size()) {
    for (const auto& [name, tensor] : inputs) {
      if (std::none_of(inputs_.begin(), inputs_.end(),
                       [&](const TensorSpec& spec) { return spec.name == name; }))
        bad_input("unexpected inference input '{}' for model '{}'", name.substr(0, 128), name_);
    }
  }
  if (is_limit_given_ && batches() && checked.rows > config_.max_batch_size())
    bad_input("inference request batch-size must be <= {} for '{}'", config_.max_batch_size(),
              name_);
  return checked;
}

}  // namespace tenon::serving
