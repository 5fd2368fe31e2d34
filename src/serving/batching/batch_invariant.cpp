// One kernel a step, whatever the rows.
#include "serving/batching/batch_invariant.h"

#include <string_view>

namespace tenon::serving {
namespace {

// Sums of bfloat16 pairs: tiles of AMX keep the two of a pair apart to the end of a tile, the
// vector instructions that take its few rows do not. The stand-in reads the same packed weights.
constexpr std::string_view kDependsOnRows = "linear_bf16_amx";
constexpr std::string_view kStandIn = "linear_bf16_avx512_bf16";

}  // namespace

std::shared_ptr<const engine::Engine> batch_invariant(const engine::Engine& engine,
                                                      const backend::Backend& backend) {
  auto fixed = std::make_shared<engine::Engine>(engine);
  for (engine::Step& step : fixed->steps) {
    if (step.kernels.empty()) continue;
    step.kernels = {{step.kernels.back().kernel}};
    std::string& kernel = step.kernels[0].kernel;
    if (kernel == kDependsOnRows && backend.find(kStandIn) != nullptr) kernel = kStandIn;
  }
  return fixed;
}

}  // namespace tenon::serving
