// One side of a comparison: an engine that runs on plain tensors and whose values can be watched.
#pragma once

#include <memory>
#include <string>

#include "session/tensor_session.h"
#include "verify/watched.h"

namespace tenon::verify {

/// One thread at a time; the backend must outlive it.
class TensorSubject {
 public:
  /// `name` stands in reports. Error(bad_input) for a decoder with state, which has no such form.
  TensorSubject(std::string name, std::shared_ptr<const engine::Engine> engine,
                backend::Backend& backend);

  /// The inputs of that name in the form that this engine takes them in: other exporters have a
  /// timestep as one number or one for each picture, of any type, and ids of 32 or 64 bits. Those
  /// that the engine does not have are left out. Error(bad_input) names an input that is missing,
  /// or whose numbers or shape the engine cannot take, and what it seems to be.
  session::TensorMap fitted(const session::TensorMap& inputs) const;
  /// Outputs by name, of fitted inputs.
  session::TensorMap run(const session::TensorMap& inputs);
  /// Runs on the inputs, which are borrowed like the subject.
  Watched watched(const session::TensorMap& inputs);
  /// Multiplications of a run on such inputs, by its matrices of weights and its convolutions.
  double products(const session::TensorMap& inputs);

  const std::string& name() const { return name_; }
  const engine::Engine& engine() const { return session_->engine(); }
  backend::Backend& backend() const { return backend_; }

 private:
  std::string name_;
  backend::Backend& backend_;
  std::unique_ptr<session::TensorSession> session_;
};

}  // namespace tenon::verify
