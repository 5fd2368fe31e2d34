#include "session/tensor_session.h"

#include "base/error.h"

namespace tenon::session {

TensorMap TensorSession::run(const TensorMap& inputs) {
  std::vector<TensorView> views;
  for (const auto index : engine_->inputs) {
    const auto& name = engine_->values[static_cast<std::size_t>(index)].name;
    const auto found = inputs.find(name);
    if (found == inputs.end()) bad_input("input {} is missing", name);
    views.push_back(found->second.view());
  }
  if (views.size() != inputs.size()) {
    for (const auto& [name, tensor] : inputs) {
      bool known = false;
      for (const auto index : engine_->inputs)
        known |= engine_->values[static_cast<std::size_t>(index)].name == name;
      if (!known) bad_input("the model has no input {}", name);
    }
  }
  executor_.prepare(views);
  executor_.run(views);
  TensorMap outputs;
  for (std::size_t i = 0; i < engine_->outputs.size(); ++i) {
    outputs.emplace(engine_->values[static_cast<std::size_t>(engine_->outputs[i])].name,
                    Tensor::copy_of(executor_.output(i)));
  }
  return outputs;
}

std::size_t TensorSession::required_bytes(
    const std::map<std::string, Shape, std::less<>>& shapes) const {
  std::vector<TensorView> views;
  for (const auto index : engine_->inputs) {
    const engine::Value& value = engine_->values[static_cast<std::size_t>(index)];
    const auto found = shapes.find(value.name);
    if (found == shapes.end()) bad_input("no shape of input {}", value.name);
    views.push_back({value.dtype, found->second, nullptr});
  }
  return executor_.required_bytes(views);
}

}  // namespace tenon::session
