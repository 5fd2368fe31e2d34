// A model of plain tensors behind a queue.
#pragma once

#include "backend/cpu/cpu_backend.h"
#include "serving/make_model.h"
#include "serving/turnstile.h"

namespace tenon::serving {

class TensorModel final : public ServedModel, public TensorService {
 public:
  TensorModel(ModelParts parts, const ModelOptions& options);

  const ModelInfo& info() const override { return info_; }
  TensorService* tensors() override { return this; }

  /// Runs in the caller's thread, one request after the other.
  RequestId submit(TensorRequest request, std::shared_ptr<TensorSink> sink) override;
  void cancel(RequestId) override {}
  std::int64_t waiting() const override { return turnstile_.waiting(); }

 private:
  ModelInfo info_;
  backend::CpuBackend backend_;
  session::TensorSession session_;
  Turnstile turnstile_;
};

}  // namespace tenon::serving
