#include "serving/tensor_model.h"

#include <algorithm>

#include "base/memory.h"
#include "serving/batching/batch_invariant.h"

namespace tenon::serving {
namespace {

constexpr std::uint64_t kUnknownMemory = std::uint64_t{8} << 30;

// Inputs that wait take at most a quarter of what is free when the model comes.
std::int64_t waiting_bytes() {
  const std::uint64_t free = available_memory();
  return static_cast<std::int64_t>((free == 0 ? kUnknownMemory : free) / 4);
}

}  // namespace

TensorModel::TensorModel(ModelParts parts, const ModelOptions& options) {
  std::shared_ptr<const engine::Engine> engine = parts.engines.find(bundle::kModel)->second;
  const bool is_bare =
      parts.config.scheduling_choice_case() == inference::ModelConfig::SCHEDULING_CHOICE_NOT_SET;
  TensorContract contract(*engine, std::move(parts.config), parts.name);
  BatchPolicy policy = batch_policy(contract.config(), options.queue, waiting_bytes());
  // Where nobody has said how to wait, a request may say how long it does.
  if (is_bare) policy.queue.allow_override = true;
  SequenceInputs sequences(*engine, contract.config());
  const int threads = backend::CpuBackend(options.threads).threads();
  const int each = std::max(1, threads / policy.instances);
  if (options.batch_invariant) engine = batch_invariant(*engine, backend::CpuBackend(1));
  std::vector<std::unique_ptr<BatchRunner>> runners;
  for (int i = 0; i < policy.instances; ++i)
    runners.push_back(std::make_unique<EngineRunner>(engine, each));
  info_.name = parts.name;
  info_.version = std::move(parts.version);
  info_.config = contract.config();
  info_.inputs = contract.inputs();
  info_.outputs = contract.outputs();
  info_.limits.queue = policy.max_waiting;
  engine_ =
      std::make_unique<TensorEngine>(std::move(parts.name), std::move(contract),
                                     std::move(sequences), std::move(policy), std::move(runners));
}

}  // namespace tenon::serving
