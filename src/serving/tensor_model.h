// A model of plain tensors.
#pragma once

#include "serving/make_model.h"
#include "serving/tensors/tensor_engine.h"

namespace tenon::serving {

class TensorModel final : public ServedModel {
 public:
  /// The threads of `options` are shared out among the instances, one each at least.
  TensorModel(ModelParts parts, const ModelOptions& options);

  const ModelInfo& info() const override { return info_; }
  TensorService* tensors() override { return engine_.get(); }

 private:
  ModelInfo info_;
  std::unique_ptr<TensorEngine> engine_;
};

}  // namespace tenon::serving
