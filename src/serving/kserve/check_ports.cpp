// Whether a question fits the model that it is for.
#include <algorithm>

#include "serving/kserve/execute.h"
#include "serving/kserve/ports.h"

namespace tenon::serving::kserve {
namespace {

void check_input(const InferTensor& given, const std::vector<Port>& inputs,
                 const std::string& model) {
  const auto port = std::find_if(inputs.begin(), inputs.end(),
                                 [&](const Port& one) { return one.name == given.name; });
  if (port == inputs.end())
    bad_input("unexpected inference input '{}' for model '{}'", given.name.substr(0, 128), model);
  if (port->datatype != given.datatype)
    bad_input("inference input '{}' data-type is '{}', but model '{}' expects '{}'", given.name,
              given.datatype.substr(0, 40), model, port->datatype);
  const bool fits = port->shape.size() == given.shape.size() &&
                    std::equal(port->shape.begin(), port->shape.end(), given.shape.begin(),
                               [](auto wanted, auto has) { return wanted < 0 || wanted == has; });
  if (!fits)
    bad_input("unexpected shape for input '{}' for model '{}'. Expected {}, got {}", given.name,
              model, to_string(port->shape), to_string(given.shape));
}

}  // namespace

void check_ports(const InferRequest& request, const ModelInfo& info) {
  const auto inputs = inputs_of(info);
  const auto known = [&](const InferTensor& given) {
    return std::any_of(inputs.begin(), inputs.end(),
                       [&](const Port& port) { return port.name == given.name; });
  };
  if (request.inputs.size() != inputs.size() &&
      std::all_of(request.inputs.begin(), request.inputs.end(), known)) {
    bad_input("expected {} inputs but got {} inputs for model '{}'", inputs.size(),
              request.inputs.size(), info.name);
  }
  for (const InferTensor& given : request.inputs) check_input(given, inputs, info.name);
  const auto outputs = outputs_of(info);
  for (const WantedOutput& wanted : request.outputs) {
    if (std::none_of(outputs.begin(), outputs.end(),
                     [&](const Port& port) { return port.name == wanted.name; }))
      bad_input("unexpected inference output '{}' for model '{}'", wanted.name.substr(0, 128),
                info.name);
  }
}

}  // namespace tenon::serving::kserve
