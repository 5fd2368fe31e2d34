#include "engine/engine.h"

#include <algorithm>

#include "base/error.h"

namespace tenon::engine {
namespace {

void check_index(const Engine& engine, ValueIndex index, bool optional, const std::string& where) {
  if (index == kAbsent && optional) return;
  if (index < 0 || static_cast<std::size_t>(index) >= engine.values.size()) {
    bad_input("{} refers to value {}, there are {}", where, index, engine.values.size());
  }
}

void check_operands(const Engine& engine, const Step& step, std::vector<bool>& defined) {
  for (const ValueIndex input : step.inputs) {
    check_index(engine, input, true, "step " + step.name);
    if (input != kAbsent && !defined[static_cast<std::size_t>(input)]) {
      bad_input("step {} reads {} before it is computed", step.name,
                engine.values[static_cast<std::size_t>(input)].name);
    }
  }
  for (const ValueIndex output : step.outputs) {
    check_index(engine, output, true, "step " + step.name);
    if (output == kAbsent) continue;
    if (defined[static_cast<std::size_t>(output)]) {
      bad_input("step {} writes {}, which has a value already", step.name,
                engine.values[static_cast<std::size_t>(output)].name);
    }
    defined[static_cast<std::size_t>(output)] = true;
  }
  if (step.kernels.empty() && (step.inputs.empty() || step.outputs.empty() ||
                               step.inputs[0] == kAbsent || step.outputs[0] == kAbsent)) {
    bad_input("step {} has no kernel and no operands to alias", step.name);
  }
}

}  // namespace

bool tuned_for(const Engine& engine, const Dim::Bindings& sizes) {
  if (engine.tuned.empty()) return true;
  return std::all_of(sizes.begin(), sizes.end(), [&](const auto& size) {
    std::int64_t low = size.second + 1;
    std::int64_t high = size.second - 1;
    for (const Dim::Bindings& tuned : engine.tuned) {
      const auto found = tuned.find(size.first);
      if (found == tuned.end()) continue;
      low = std::min(low, found->second);
      high = std::max(high, found->second);
    }
    return low <= size.second && size.second <= high;
  });
}

void validate(const Engine& engine) {
  std::vector<bool> defined(engine.values.size(), false);
  for (std::size_t i = 0; i < engine.values.size(); ++i) {
    const Value& value = engine.values[i];
    if (value.constant < 0) continue;
    if (static_cast<std::size_t>(value.constant) >= engine.constants.size()) {
      bad_input("value {} refers to constant {}, there are {}", value.name, value.constant,
                engine.constants.size());
    }
    const Constant& constant = engine.constants[static_cast<std::size_t>(value.constant)];
    const auto plain =
        static_cast<std::uint64_t>(element_count(constant.shape)) * dtype_size(constant.dtype);
    if (constant.format.empty() && constant.bytes != plain) {
      bad_input("constant {} has {} bytes, shape {} of {} needs {}", value.name, constant.bytes,
                to_string(constant.shape), dtype_name(constant.dtype), plain);
    }
    if (const auto shape = constant_shape(value.shape); !shape || *shape != constant.shape) {
      bad_input("constant {} is {}, its value says {}", value.name, to_string(constant.shape),
                to_string(value.shape));
    }
    defined[i] = true;
  }
  for (const ValueIndex input : engine.inputs) {
    check_index(engine, input, false, "an input");
    defined[static_cast<std::size_t>(input)] = true;
  }
  for (const Step& step : engine.steps) check_operands(engine, step, defined);
  for (const ValueIndex output : engine.outputs) {
    check_index(engine, output, false, "an output");
    if (!defined[static_cast<std::size_t>(output)]) {
      bad_input("output {} is never computed",
                engine.values[static_cast<std::size_t>(output)].name);
    }
  }
  const DecoderState& state = engine.state;
  if (state.layers < 0 || state.layers > 4096 || state.page_bytes < 0 ||
      state.page_bytes > (std::int64_t{1} << 30)) {
    bad_input("cache of {} layers with {} bytes a page", state.layers, state.page_bytes);
  }
}

}  // namespace tenon::engine
