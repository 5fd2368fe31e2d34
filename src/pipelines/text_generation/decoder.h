// Decoder: what text generation needs from a model. The engine's paged cache stands behind it.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

namespace tenon::pipelines {

/// A causal language model with sequences as its state. One thread at a time.
class Decoder {
 public:
  using Sequence = std::int32_t;
  struct Input {
    Sequence sequence;
    std::span<const std::int32_t> tokens;  ///< at least one; valid during the call
  };

  virtual ~Decoder() = default;

  /// Number of token ids; ids are 0 to vocabulary() - 1.
  virtual int vocabulary() const = 0;
  /// The most tokens that one sequence can hold.
  virtual int context_length() const = 0;

  /// An empty sequence.
  virtual Sequence create() = 0;
  /// A sequence with the same tokens; it shares the cache so far, copy on write.
  virtual Sequence fork(Sequence parent) = 0;
  virtual void release(Sequence sequence) = 0;

  /// Appends tokens to each sequence, no sequence twice. `logits`: one row of vocabulary() an
  /// input, after its last token, in the order of the inputs. An Error leaves the sequences of
  /// this call unusable; they can still be released.
  virtual void forward(std::span<const Input> inputs, std::span<float> logits) = 0;
};

/// Owns one sequence of a decoder, which must outlive it.
class OwnedSequence {
 public:
  OwnedSequence() = default;
  OwnedSequence(Decoder& decoder, Decoder::Sequence id) : decoder_(&decoder), id_(id) {}
  OwnedSequence(OwnedSequence&& other) noexcept
      : decoder_(std::exchange(other.decoder_, nullptr)), id_(other.id_) {}
  OwnedSequence& operator=(OwnedSequence&& other) noexcept {
    std::swap(decoder_, other.decoder_);
    std::swap(id_, other.id_);
    return *this;
  }
  ~OwnedSequence() { release(); }

  Decoder::Sequence id() const { return id_; }
  bool empty() const { return decoder_ == nullptr; }
  OwnedSequence fork() const { return {*decoder_, decoder_->fork(id_)}; }
  void release() {
    if (decoder_ != nullptr) std::exchange(decoder_, nullptr)->release(id_);
  }

 private:
  Decoder* decoder_ = nullptr;
  Decoder::Sequence id_ = 0;
};

}  // namespace tenon::pipelines
