// One side of a comparison: an engine that runs on token ids and whose values can be watched.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "session/decoder_session.h"
#include "session/tensor_session.h"
#include "verify/watched.h"

namespace tenon::verify {

/// An engine of either kind: a decoder with state, or plain tensors with input_ids,
/// attention_mask, position_ids and past_key_values inputs (only input_ids is a must). One thread
/// at a time; the backend must outlive it.
class Subject {
 public:
  /// `name` stands in reports. Error(bad_input) when the engine takes no token ids.
  Subject(std::string name, std::shared_ptr<const engine::Engine> engine,
          backend::Backend& backend);

  /// Float32 [tokens, vocabulary] of a sequence that nothing came before. Error(bad_input) for no
  /// tokens, and for ids outside the vocabulary.
  Tensor logits(std::span<const std::int32_t> ids);
  /// Of rows that run together, all as long as their masks, which hold 0 for padding and 1 for
  /// tokens: for each row float32 [tokens that are not padding, vocabulary]. Plain engines see the
  /// padding, decoders with state never do.
  std::vector<Tensor> batch_logits(std::span<const std::vector<std::int32_t>> rows,
                                   std::span<const std::vector<std::int64_t>> masks);
  /// Of the next runs, until an empty one is given.
  void observe(session::Observer observer);
  /// Runs on `ids`, which are copied. Borrows the subject.
  Watched watched(std::span<const std::int32_t> ids);

  const std::string& name() const { return name_; }
  const engine::Engine& engine() const { return *engine_; }
  backend::Backend& backend() const { return backend_; }
  std::int64_t vocabulary() const { return vocabulary_; }

 private:
  std::vector<Tensor> decoder_logits(std::span<const std::vector<std::int32_t>> rows);
  Tensor plain_logits(std::span<const std::vector<std::int32_t>> rows,
                      std::span<const std::vector<std::int64_t>> masks);
  session::TensorMap plain_inputs(std::span<const std::vector<std::int32_t>> rows,
                                  std::span<const std::vector<std::int64_t>> masks) const;
  void check_ids(std::span<const std::int32_t> ids) const;

  std::string name_;
  std::shared_ptr<const engine::Engine> engine_;
  backend::Backend& backend_;
  std::string logits_name_;
  std::int64_t vocabulary_ = 0;
  session::Observer observer_;
  std::unique_ptr<session::DecoderSession> decoder_;  // with state, made for the longest so far
  std::int64_t cache_tokens_ = 0;
  std::unique_ptr<session::TensorSession> plain_;
};

}  // namespace tenon::verify
