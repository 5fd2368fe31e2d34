#include "serving/tensor_model.h"

namespace tenon::serving {
namespace {

std::vector<TensorSpec> specs(const engine::Engine& engine,
                              const std::vector<engine::ValueIndex>& indices) {
  std::vector<TensorSpec> made;
  for (const auto index : indices) {
    const engine::Value& value = engine.values[static_cast<std::size_t>(index)];
    TensorSpec spec{value.name, value.dtype, {}};
    for (const Dim& dim : value.shape) spec.shape.push_back(dim.constant().value_or(-1));
    made.push_back(std::move(spec));
  }
  return made;
}

}  // namespace

TensorModel::TensorModel(ModelParts parts, const ModelOptions& options)
    : backend_(options.threads),
      session_(parts.engines.find(bundle::kModel)->second, backend_),
      turnstile_(options.queue) {
  info_.name = std::move(parts.name);
  info_.version = std::move(parts.version);
  info_.config = std::move(parts.config);
  info_.inputs = specs(session_.engine(), session_.engine().inputs);
  info_.outputs = specs(session_.engine(), session_.engine().outputs);
  info_.limits.queue = options.queue;
}

RequestId TensorModel::submit(TensorRequest request, std::shared_ptr<TensorSink> sink) {
  const auto begin = Clock::now();
  TensorResult result;
  {
    const Turnstile::Pass pass(turnstile_);
    const auto turn = Clock::now();
    result.outputs = session_.run(request.inputs);
    result.queue = turn - begin;
    result.infer = Clock::now() - turn;
  }
  sink->computed(std::move(result));
  return 0;
}

}  // namespace tenon::serving
