#include "verify/subject.h"

#include <cstring>

#include "base/error.h"

namespace tenon::verify {
namespace {

constexpr std::int64_t kFirstCache = 512;

using Rows = std::span<const std::vector<std::int32_t>>;
using Masks = std::span<const std::vector<std::int64_t>>;

// The size of a dimension of a first run: nothing cached.
std::int64_t first_size(const Dim& dim, std::size_t axis, std::size_t rows) {
  return dim.constant().value_or(axis == 0 ? static_cast<std::int64_t>(rows) : 0);
}

// Positions count from the first token that is not padding, as every exporter of decoders has it.
void append_positions(std::span<const std::int64_t> mask, std::vector<std::int64_t>& positions) {
  std::int64_t next = 0;
  for (const std::int64_t kept : mask) positions.push_back(kept != 0 ? next++ : 0);
}

std::vector<std::int32_t> kept_tokens(std::span<const std::int32_t> ids,
                                      std::span<const std::int64_t> mask) {
  std::vector<std::int32_t> kept;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (mask[i] != 0) kept.push_back(ids[i]);
  }
  return kept;
}

// Rows of [tokens, width] whose mask is not 0.
Tensor kept_rows(const TensorView& all, std::span<const std::int64_t> mask) {
  std::int64_t kept = 0;
  for (const std::int64_t m : mask) kept += m != 0 ? 1 : 0;
  Tensor rows(DType::f32, {kept, all.shape[1]});
  const std::size_t bytes = static_cast<std::size_t>(all.shape[1]) * sizeof(float);
  for (std::size_t i = 0, next = 0; i < mask.size(); ++i) {
    if (mask[i] != 0) std::memcpy(rows.data() + bytes * next++, all.data + bytes * i, bytes);
  }
  return rows;
}

}  // namespace

Subject::Subject(std::string name, std::shared_ptr<const engine::Engine> engine,
                 backend::Backend& backend)
    : name_(std::move(name)), engine_(std::move(engine)), backend_(backend) {
  bool takes_ids = false;
  for (const auto index : engine_->inputs)
    takes_ids |= engine_->values[static_cast<std::size_t>(index)].name == "input_ids";
  if (!takes_ids || engine_->outputs.empty())
    bad_input("{} takes no input_ids: it cannot be compared on token ids", name_);
  std::size_t chosen = static_cast<std::size_t>(engine_->outputs[0]);
  for (const auto index : engine_->outputs) {
    if (engine_->values[static_cast<std::size_t>(index)].name == "logits")
      chosen = static_cast<std::size_t>(index);
  }
  const engine::Value& logits = engine_->values[chosen];
  logits_name_ = logits.name;
  if (!is_float(logits.dtype) || logits.shape.size() < 2) {
    bad_input("{}: output {} is {} {}, expected floats [batch, tokens, vocabulary]", name_,
              logits.name, dtype_name(logits.dtype), to_string(logits.shape));
  }
  vocabulary_ = logits.shape.back().constant().value_or(0);
  if (vocabulary_ == 0)
    bad_input("{}: the last dimension of {} is not known: {}", name_, logits.name,
              to_string(logits.shape));
  if (engine_->state.layers == 0)
    plain_ = std::make_unique<session::TensorSession>(engine_, backend_);
}

Watched Subject::watched(std::span<const std::int32_t> ids) {
  return {*engine_, [this, kept = std::vector(ids.begin(), ids.end())](session::Observer observer) {
            observe(std::move(observer));
            try {
              logits(kept);
            } catch (...) {
              observe({});
              throw;
            }
            observe({});
          }};
}

void Subject::observe(session::Observer observer) {
  observer_ = std::move(observer);
  if (decoder_) decoder_->executor().observe(observer_);
  if (plain_) plain_->executor().observe(observer_);
}

void Subject::check_ids(std::span<const std::int32_t> ids) const {
  if (ids.empty()) bad_input("{}: no tokens were given", name_);
  for (const std::int32_t id : ids) {
    if (id < 0 || id >= vocabulary_)
      bad_input("{}: token id {} is outside the vocabulary of {}", name_, id, vocabulary_);
  }
}

Tensor Subject::logits(std::span<const std::int32_t> ids) {
  check_ids(ids);
  const std::vector<std::vector<std::int32_t>> rows = {{ids.begin(), ids.end()}};
  if (!plain_) return std::move(decoder_logits(rows).front());
  const std::vector<std::vector<std::int64_t>> masks = {std::vector<std::int64_t>(ids.size(), 1)};
  return plain_logits(rows, masks);
}

std::vector<Tensor> Subject::batch_logits(Rows rows, Masks masks) {
  std::vector<std::vector<std::int32_t>> kept;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows.size() != masks.size() || rows[i].size() != masks[i].size() ||
        rows[i].size() != rows[0].size())
      bad_input("{}: the rows of a batch and their masks differ in length", name_);
    check_ids(rows[i]);
    kept.push_back(kept_tokens(rows[i], masks[i]));
    check_ids(kept.back());
  }
  if (kept.empty()) bad_input("{}: no tokens were given", name_);
  if (!plain_) return decoder_logits(kept);
  const Tensor all = plain_logits(rows, masks);
  const auto tokens = static_cast<std::int64_t>(rows[0].size());
  std::vector<Tensor> parts;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::size_t bytes = static_cast<std::size_t>(tokens * vocabulary_) * sizeof(float);
    parts.push_back(
        kept_rows({DType::f32, {tokens, vocabulary_}, all.data() + bytes * i}, masks[i]));
  }
  return parts;
}

// Sequences of a batch go by the longest of them, as in the implementations that pad.
std::vector<Tensor> Subject::decoder_logits(Rows rows) {
  std::int64_t wanted = 0;
  std::int64_t longest = 0;
  for (const auto& row : rows) {
    const auto length = static_cast<std::int64_t>(row.size());
    longest = std::max(longest, length);
    wanted += (length + kernels::kPageTokens - 1) / kernels::kPageTokens * kernels::kPageTokens;
  }
  if (!decoder_ || cache_tokens_ < wanted) {
    decoder_.reset();
    cache_tokens_ = std::max(kFirstCache, wanted);
    decoder_ = std::make_unique<session::DecoderSession>(engine_, backend_, cache_tokens_);
    decoder_->executor().observe(observer_);
  }
  std::vector<session::DecoderSession::Input> inputs;
  for (const auto& row : rows)
    inputs.push_back({decoder_->create(), row, session::Logits::all, longest});
  const auto release = [&] {
    for (const auto& input : inputs) decoder_->release(input.sequence);
  };
  try {
    const TensorView all = decoder_->forward(inputs);
    std::vector<Tensor> parts;
    const std::byte* next = all.data;
    for (const auto& row : rows) {
      const TensorView part{all.dtype, {static_cast<std::int64_t>(row.size()), vocabulary_}, next};
      parts.push_back(converted(part, DType::f32));
      next += part.bytes();
    }
    release();
    return parts;
  } catch (...) {
    release();
    throw;
  }
}

session::TensorMap Subject::plain_inputs(Rows rows, Masks masks) const {
  const Shape shape = {static_cast<std::int64_t>(rows.size()),
                       static_cast<std::int64_t>(rows[0].size())};
  session::TensorMap inputs;
  for (const auto index : engine_->inputs) {
    const engine::Value& value = engine_->values[static_cast<std::size_t>(index)];
    std::vector<std::int64_t> numbers;
    if (value.name == "input_ids") {
      for (const auto& row : rows) numbers.insert(numbers.end(), row.begin(), row.end());
    } else if (value.name == "attention_mask") {
      for (const auto& mask : masks) numbers.insert(numbers.end(), mask.begin(), mask.end());
    } else if (value.name == "position_ids") {
      for (const auto& mask : masks) append_positions(mask, numbers);
    } else if (value.name.starts_with("past")) {
      Shape past;
      for (std::size_t axis = 0; axis < value.shape.size(); ++axis)
        past.push_back(first_size(value.shape[axis], axis, rows.size()));
      inputs.emplace(value.name, Tensor(value.dtype, past));
      continue;
    } else {
      bad_input("{}: input {} ({} {}) is none that a decoder is known to take", name_, value.name,
                dtype_name(value.dtype), to_string(value.shape));
    }
    inputs.emplace(value.name, converted(Tensor::from_ints(shape, numbers).view(), value.dtype));
  }
  return inputs;
}

Tensor Subject::plain_logits(Rows rows, Masks masks) {
  const session::TensorMap outputs = plain_->run(plain_inputs(rows, masks));
  const Tensor& logits = outputs.find(logits_name_)->second;
  const auto tokens = static_cast<std::int64_t>(rows.size() * rows[0].size());
  if (logits.count() != tokens * vocabulary_) {
    bad_input("{}: output {} is {} for {} tokens, expected logits of each", name_, logits_name_,
              to_string(logits.shape()), tokens);
  }
  TensorView flat = logits.view();
  flat.shape = {tokens, vocabulary_};
  return converted(flat, DType::f32);
}

}  // namespace tenon::verify
