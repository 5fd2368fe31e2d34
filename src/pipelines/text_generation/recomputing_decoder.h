// A model without a cache as the Decoder that generation runs on: every token recomputes all before
// it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pipelines/text_generation/decoder.h"
#include "session/tensor_session.h"

namespace tenon::pipelines {

/// Over an engine of plain tensors with the input input_ids [batch, tokens], optionally
/// attention_mask, position_ids and past inputs (given empty), and logits [batch, tokens,
/// vocabulary]. The work of a text grows with the square of its length.
class RecomputingDecoder final : public Decoder {
 public:
  /// `context_length` 0: any. Error(bad_input) for an engine with state, and names an input that is
  /// none of a decoder's. The backend must outlive it.
  RecomputingDecoder(std::shared_ptr<const engine::Engine> engine, backend::Backend& backend,
                     std::int64_t context_length);

  int vocabulary() const override { return static_cast<int>(vocabulary_); }
  int context_length() const override { return static_cast<int>(context_length_); }
  Sequence create() override;
  Sequence fork(Sequence parent) override;
  void release(Sequence sequence) override { sequences_.erase(sequence); }
  /// Error(usage) when a sequence outgrows the context, Error(bad_input) for an id outside the
  /// vocabulary.
  void forward(std::span<const Input> inputs, std::span<float> logits) override;

 private:
  session::TensorMap inputs_for(std::span<const std::int32_t> ids) const;

  session::TensorSession session_;
  std::int64_t context_length_;
  std::int64_t vocabulary_ = 0;
  std::string logits_name_;
  std::map<Sequence, std::vector<std::int32_t>> sequences_;
  Sequence next_ = 0;
};

}  // namespace tenon::pipelines
