// What a model of plain tensors takes and gives, as its configuration and its engine say together.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "serving/served_model.h"

namespace tenon::serving {

/// Rows of a batch where neither configuration nor model says more: as Triton's
/// --backend-config default-max-batch-size.
inline constexpr int kDefaultMaxBatch = 4;

/// Immutable.
class TensorContract {
 public:
  /// Completes the configuration: inputs and outputs from the engine; where it names no inputs and
  /// no max_batch_size, kDefaultMaxBatch and dynamic batching when why_not_batchable finds nothing.
  /// Error(bad_input), in Triton's words, where the two contradict each other.
  TensorContract(const engine::Engine& engine, inference::ModelConfig config,
                 const std::string& name);

  const inference::ModelConfig& config() const { return config_; }
  /// Without the controls and states of sequences, with the batch as a first dimension of -1.
  const std::vector<TensorSpec>& inputs() const { return inputs_; }
  const std::vector<TensorSpec>& outputs() const { return outputs_; }
  bool batches() const { return config_.max_batch_size() > 0; }

  struct Checked {
    std::int64_t rows = 1;
    std::vector<std::int64_t> shape;  ///< of TensorTask
    std::int64_t bytes = 0;
  };
  /// Error(bad_input) names an input that is missing, unknown or of the wrong type or shape.
  Checked check(const TensorMap& inputs) const;

 private:
  void settle_batching(const engine::Engine& engine);
  void settle_ports(const engine::Engine& engine);

  std::string name_;
  inference::ModelConfig config_;
  bool is_limit_given_ = false;  // larger requests are refused; else they run alone
  std::vector<TensorSpec> inputs_;
  std::vector<TensorSpec> outputs_;
};

}  // namespace tenon::serving
