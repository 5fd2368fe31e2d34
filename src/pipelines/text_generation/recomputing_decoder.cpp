#include "pipelines/text_generation/recomputing_decoder.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace tenon::pipelines {
namespace {

const engine::Value& logits_of(const engine::Engine& engine) {
  for (const auto index : engine.outputs) {
    const auto& value = engine.values[static_cast<std::size_t>(index)];
    if (value.name == "logits") return value;
  }
  return engine.values[static_cast<std::size_t>(engine.outputs.at(0))];
}

bool takes(const engine::Engine& engine, std::string_view name) {
  return std::any_of(engine.inputs.begin(), engine.inputs.end(), [&](engine::ValueIndex index) {
    return engine.values[static_cast<std::size_t>(index)].name == name;
  });
}

}  // namespace

RecomputingDecoder::RecomputingDecoder(std::shared_ptr<const engine::Engine> engine,
                                       backend::Backend& backend, std::int64_t context_length)
    : session_(std::move(engine), backend),
      context_length_(context_length > 0 ? std::min<std::int64_t>(context_length, 1 << 30)
                                         : std::numeric_limits<int>::max()) {
  const engine::Engine& own = session_.engine();
  if (own.state.layers > 0) bad_input("{}: keeps a cache itself", own.name);
  if (own.outputs.empty() || !takes(own, "input_ids"))
    bad_input("{}: takes no input_ids: it cannot write text", own.name);
  const engine::Value& logits = logits_of(own);
  logits_name_ = logits.name;
  vocabulary_ =
      logits.shape.size() == 3 ? logits.shape.back().constant().value_or(0) : std::int64_t{0};
  if (!is_float(logits.dtype) || vocabulary_ <= 0 ||
      vocabulary_ > std::numeric_limits<int>::max()) {
    bad_input("{}: output {} is {} {}, expected logits [batch, tokens, vocabulary]", own.name,
              logits.name, dtype_name(logits.dtype), to_string(logits.shape));
  }
  const std::int32_t first = 0;
  inputs_for(std::span(&first, 1));
}

Decoder::Sequence RecomputingDecoder::create() {
  sequences_[next_] = {};
  return next_++;
}

Decoder::Sequence RecomputingDecoder::fork(Sequence parent) {
  sequences_[next_] = sequences_.at(parent);
  return next_++;
}

session::TensorMap RecomputingDecoder::inputs_for(std::span<const std::int32_t> ids) const {
  const engine::Engine& engine = session_.engine();
  const Shape shape = {1, static_cast<std::int64_t>(ids.size())};
  session::TensorMap inputs;
  for (const auto index : engine.inputs) {
    const engine::Value& value = engine.values[static_cast<std::size_t>(index)];
    std::vector<std::int64_t> numbers(ids.size(), 1);
    if (value.name == "input_ids") {
      numbers.assign(ids.begin(), ids.end());
    } else if (value.name == "position_ids") {
      std::iota(numbers.begin(), numbers.end(), 0);
    } else if (value.name.starts_with("past")) {
      Shape past;
      for (std::size_t axis = 0; axis < value.shape.size(); ++axis)
        past.push_back(value.shape[axis].constant().value_or(axis == 0 ? 1 : 0));
      inputs.emplace(value.name, Tensor(value.dtype, past));
      continue;
    } else if (value.name != "attention_mask") {
      bad_input("{}: input {} ({} {}) is none that a decoder is known to take", engine.name,
                value.name, dtype_name(value.dtype), to_string(value.shape));
    }
    inputs.emplace(value.name, converted(Tensor::from_ints(shape, numbers).view(), value.dtype));
  }
  return inputs;
}

void RecomputingDecoder::forward(std::span<const Input> inputs, std::span<float> logits) {
  const auto width = static_cast<std::size_t>(vocabulary_);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    std::vector<std::int32_t>& ids = sequences_.at(inputs[i].sequence);
    for (const std::int32_t id : inputs[i].tokens) {
      if (id < 0 || id >= vocabulary_)
        bad_input("token id {} is outside the vocabulary of {}", id, vocabulary_);
      ids.push_back(id);
    }
    if (static_cast<std::int64_t>(ids.size()) > context_length_) {
      fail(ErrorCode::usage, "{} tokens are more than the model's context of {}", ids.size(),
           context_length_);
    }
    const session::TensorMap outputs = session_.run(inputs_for(ids));
    const Tensor wide = converted(outputs.find(logits_name_)->second.view(), DType::f32);
    if (wide.as<float>().size() != ids.size() * width) {
      bad_input("output {} is {} for {} tokens, expected logits of each", logits_name_,
                to_string(wide.shape()), ids.size());
    }
    std::copy_n(wide.as<float>().end() - static_cast<std::ptrdiff_t>(width), width,
                logits.begin() + static_cast<std::ptrdiff_t>(i * width));
  }
}

}  // namespace tenon::pipelines
