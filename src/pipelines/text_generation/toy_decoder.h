// A toy language model for tests, defined by integers: tests/generation/record.py computes the same
// scores bit for bit. It also checks how its sequences are used.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "base/error.h"
#include "pipelines/text_generation/decoder.h"

namespace tenon::pipelines {

struct ToyModel {
  std::uint32_t seed = 1;
  int vocabulary = 48;
  float spread = 8;

  static std::uint32_t mix(std::uint32_t value) {
    value = (value ^ (value >> 16)) * 0x7FEB352D;
    value = (value ^ (value >> 15)) * 0x846CA68B;
    return value ^ (value >> 16);
  }
  /// Scores after the tokens (..., a, b).
  void scores(std::uint32_t a, std::uint32_t b, std::span<float> row) const {
    const std::uint32_t state = mix(seed * 0x9E3779B1U + a * 0x85EBCA77U + b * 0xC2B2AE3DU + 1);
    for (std::size_t t = 0; t < row.size(); ++t) {
      const std::uint32_t bits = mix(state + static_cast<std::uint32_t>(t) * 0x27D4EB2FU) >> 12;
      row[t] = static_cast<float>(bits) * spread / 1048576;
    }
  }
};

class ToyDecoder : public Decoder {
 public:
  explicit ToyDecoder(ToyModel model, int context_length = 4096)
      : model_(model), context_length_(context_length) {}

  int vocabulary() const override { return model_.vocabulary; }
  int context_length() const override { return context_length_; }
  Sequence create() override {
    sequences_[next_] = {};
    return next_++;
  }
  Sequence fork(Sequence parent) override {
    sequences_[next_] = tokens(parent);
    return next_++;
  }
  void release(Sequence sequence) override { sequences_.erase(sequence); }

  void forward(std::span<const Input> inputs, std::span<float> logits) override {
    const auto width = static_cast<std::size_t>(model_.vocabulary);
    if (logits.size() != inputs.size() * width) {
      fail(ErrorCode::internal, "{} logits for {} inputs", logits.size(), inputs.size());
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      auto& ids = tokens(inputs[i].sequence);
      ids.insert(ids.end(), inputs[i].tokens.begin(), inputs[i].tokens.end());
      forwarded += static_cast<std::int64_t>(inputs[i].tokens.size());
      if (static_cast<int>(ids.size()) > context_length_) {
        fail(ErrorCode::internal, "the context is overrun");
      }
      const std::int32_t before = ids.size() > 1 ? ids[ids.size() - 2] : model_.vocabulary;
      model_.scores(static_cast<std::uint32_t>(before), static_cast<std::uint32_t>(ids.back()),
                    logits.subspan(i * width, width));
    }
  }

  std::size_t open_sequences() const { return sequences_.size(); }
  std::int64_t forwarded = 0;  ///< tokens

 private:
  std::vector<std::int32_t>& tokens(Sequence sequence) {
    const auto place = sequences_.find(sequence);
    if (place == sequences_.end()) {
      fail(ErrorCode::internal, "sequence {} is not open", sequence);
    }
    return place->second;
  }

  ToyModel model_;
  int context_length_;
  Sequence next_ = 0;
  std::map<Sequence, std::vector<std::int32_t>> sequences_;
};

}  // namespace tenon::pipelines
