#include "serving/embedding_model.h"

#include <algorithm>

namespace tenon::serving {
namespace {

// Where the model names no limit: what OpenAI's models take.
constexpr std::int64_t kMostTokens = 8192;

}  // namespace

bool gives_embeddings(const engine::Engine& engine) {
  const auto value = [&](engine::ValueIndex index) -> const engine::Value& {
    return engine.values[static_cast<std::size_t>(index)];
  };
  const auto takes = [&](const char* name) {
    return std::any_of(engine.inputs.begin(), engine.inputs.end(), [&](engine::ValueIndex index) {
      const engine::Value& input = value(index);
      return input.name == name && input.dtype == DType::i64 && input.shape.size() == 2;
    });
  };
  if (engine.inputs.size() != 2 || !takes("input_ids") || !takes("attention_mask")) return false;
  return std::any_of(engine.outputs.begin(), engine.outputs.end(), [&](engine::ValueIndex index) {
    const engine::Value& output = value(index);
    return output.name == "sentence_embedding" && output.dtype == DType::f32 &&
           output.shape.size() == 2 && output.shape[1].constant();
  });
}

EmbeddingModel::EmbeddingModel(ModelParts parts, const ModelOptions& options)
    : tokenizer_(with_context(parts.name, [&] { return text::load_tokenizer(parts.files); })),
      context_tokens_(parts.engines.find(bundle::kModel)->second->state.context_length),
      tensors_(std::move(parts), options),
      info_(tensors_.info()) {
  info_.limits.context_tokens = context_tokens_ > 0 ? context_tokens_ : kMostTokens;
}

}  // namespace tenon::serving
