// A text model behind the engine that batches.
#pragma once

#include "backend/cpu/cpu_backend.h"
#include "serving/batching/text_engine.h"
#include "serving/make_model.h"

namespace tenon::serving {

class TextServed final : public ServedModel {
 public:
  /// Error(bad_input) when no tokenizer stands beside the model.
  TextServed(ModelParts parts, const ModelOptions& options);
  const ModelInfo& info() const override { return info_; }
  TextService* text() override { return &engine_; }
  const TextEngine& engine() const { return engine_; }

 private:
  ModelInfo info_;
  backend::CpuBackend backend_;
  TextEngine engine_;
};

}  // namespace tenon::serving
