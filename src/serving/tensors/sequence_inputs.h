// What the sequence batcher gives to a model beside the client's tensors: controls and states.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "serving/served_model.h"
#include "serving/tensors/sequence_book.h"

namespace tenon::serving {

/// Immutable. Empty for models without sequence_batching.
class SequenceInputs {
 public:
  /// Error(bad_input) names a control or state that does not fit the engine.
  SequenceInputs(const engine::Engine& engine, const inference::ModelConfig& config);

  /// Adds to one request's inputs, one row each. `state`: what `take` gave for the request before
  /// it in its sequence; empty: the initial one.
  void add(TensorMap& inputs, const SequencePlace& place, const TensorMap& state) const;
  /// Moves the states out of the outputs; those that the configuration lists as outputs stay.
  TensorMap take(TensorMap& outputs) const;
  /// Whether states of different sequences may differ in size.
  bool varies() const;

 private:
  struct Control {
    std::string name;
    DType dtype;
    Shape shape;
    inference::ModelSequenceBatching::Control::Kind kind;
    double off = 0;
    double on = 1;
  };
  struct State {
    std::string input, output;
    DType dtype;
    Shape initial;  // zeros
    bool shown = false;
    bool fixed = true;
  };
  void read_control(const engine::Engine& engine,
                    const inference::ModelSequenceBatching::ControlInput& from);
  void read_state(const engine::Engine& engine, const inference::ModelConfig& config,
                  const inference::ModelSequenceBatching::State& from);

  std::vector<Control> controls_;
  std::vector<State> states_;
};

}  // namespace tenon::serving
