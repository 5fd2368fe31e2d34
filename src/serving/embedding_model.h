// A model that gives embeddings of texts: plain tensors, and the tokenizer that makes them.
#pragma once

#include "serving/tensor_model.h"

namespace tenon::serving {

/// Whether it takes input_ids and attention_mask int64 [batch, tokens], and gives the
/// sentence_embedding float32 [batch, width] that `tenon build --embeddings` asks for.
bool gives_embeddings(const engine::Engine& engine);

class EmbeddingModel final : public ServedModel {
 public:
  /// Error(bad_input) names what is wrong with the tokenizer.
  EmbeddingModel(ModelParts parts, const ModelOptions& options);

  const ModelInfo& info() const override { return info_; }
  TensorService* tensors() override { return tensors_.tensors(); }
  const text::Tokenizer* embedding_tokenizer() override { return tokenizer_.get(); }

 private:
  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::int64_t context_tokens_;
  TensorModel tensors_;
  ModelInfo info_;
};

}  // namespace tenon::serving
