// A model of plain tensors behind a queue.
#pragma once

#include "backend/cpu/cpu_backend.h"
#include "serving/make_model.h"
#include "serving/turnstile.h"

namespace tenon::serving {

class TensorModel final : public ServedModel {
 public:
  TensorModel(ModelParts parts, const ModelOptions& options);

  const ModelInfo& info() const override { return info_; }
  TensorMap infer(const TensorMap& inputs) override;

 private:
  ModelInfo info_;
  backend::CpuBackend backend_;
  session::TensorSession session_;
  Turnstile turnstile_;
};

}  // namespace tenon::serving
