// From engines and the files beside them to a model that answers requests.
#pragma once

#include <memory>
#include <string>

#include "bundle/bundle.h"
#include "serving/served_model.h"

namespace tenon::serving {

struct ModelParts {
  std::string name;
  std::string version = "1";
  inference::ModelConfig config;  ///< what the user wrote; fields left out follow from the model
  bundle::Engines engines;
  bundle::Files files;
};

struct ModelOptions {
  int threads = 0;                ///< to compute with; 0: one per processor
  std::int64_t cache_tokens = 0;  ///< of text; 0: 16 full sequences, at most 16384
  std::int64_t queue = 64;        ///< requests that may wait
  /// Of text: requests that have not started by then fail; zero: they wait.
  std::chrono::milliseconds queue_timeout{0};
  bool batch_invariant = false;  ///< of text: see batching/batch_invariant.h
};

/// Text when the engine keeps a cache, pictures when there is a unet, embeddings when it pools the
/// states of texts and has a tokenizer, else plain tensors.
/// Error(bad_input) names a file that is missing.
std::shared_ptr<ServedModel> make_model(ModelParts parts, const ModelOptions& options);

}  // namespace tenon::serving
