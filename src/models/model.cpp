#include "models/model.h"

#include <array>

#include "base/error.h"
#include "models/components.h"
#include "models/gpt_neox.h"
#include "models/llama.h"

namespace tenon::models {
namespace {

constexpr std::array kArchitectures = {
    Architecture{"LlamaForCausalLM", build_llama},
    Architecture{"GPTNeoXForCausalLM", build_gpt_neox},
};

const Architecture& find_architecture(const Json& config) {
  const Json* names = find_field(config, "architectures");
  const bool named =
      names != nullptr && names->is_array() && !names->empty() && names->front().is_string();
  const std::string wanted = named ? names->front().get<std::string>() : "";
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.name == wanted) return architecture;
  }
  std::string known;
  for (const Architecture& architecture : kArchitectures) {
    known += (known.empty() ? "" : ", ") + std::string(architecture.name);
  }
  Error error(ErrorCode::bad_input, named ? fmt::format("architecture {} is not supported", wanted)
                                          : std::string("config.json names no architecture"));
  throw error.hint("supported are " + known + "; other models can come in as ONNX");
}

// Stands for a weight of which only the shape matters.
class ShapeOnlySource final : public TensorSource {
 public:
  explicit ShapeOnlySource(const Shape& shape) : TensorSource(DType::f32, shape) {}
  void read(std::int64_t, std::int64_t, std::byte*) const override {
    fail(ErrorCode::internal, "a weight without values was read");
  }
};

}  // namespace

Pooling parse_pooling(std::string_view name) {
  if (name.empty()) return Pooling::none;
  if (name == "mean") return Pooling::mean;
  if (name == "last") return Pooling::last;
  fail(ErrorCode::usage, "pooling '{}' is not known; mean and last are", name);
}

std::span<const Architecture> architectures() { return kArchitectures; }

graph::Graph build(const checkpoint::Checkpoint& checkpoint, const BuildOptions& options) {
  return with_context(checkpoint.directory().string(), [&] {
    const Json& config = checkpoint.config();
    const Weights weights = [&](const std::string& name, const Shape& shape) {
      return checkpoint.weight(name, shape);
    };
    return find_architecture(config).build(config, weights, options);
  });
}

std::map<std::string, Shape> expected_weights(const Json& config) {
  std::map<std::string, Shape> expected;
  const Weights weights = [&](const std::string& name, const Shape& shape) {
    expected.emplace(name, shape);
    return std::make_shared<ShapeOnlySource>(shape);
  };
  for (const ComponentClass& part : component_classes()) {
    if (part.class_name == class_name_of(config)) part.build(config, weights, {});
  }
  if (expected.empty()) find_architecture(config).build(config, weights, {});
  return expected;
}

}  // namespace tenon::models
