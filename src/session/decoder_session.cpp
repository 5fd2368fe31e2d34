#include "session/decoder_session.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace tenon::session {
namespace {

std::int32_t page_count(std::int64_t tokens) {
  const std::int64_t pages = (tokens + kernels::kPageTokens - 1) / kernels::kPageTokens;
  if (tokens < 0 || pages > (std::int64_t{1} << 24))
    bad_input("a cache of {} tokens cannot be made", tokens);
  return static_cast<std::int32_t>(std::max<std::int64_t>(pages, 1));
}

}  // namespace

DecoderSession::DecoderSession(std::shared_ptr<const engine::Engine> engine,
                               backend::Backend& backend, std::int64_t cache_tokens)
    : engine_(std::move(engine)),
      executor_(*engine_, backend),
      table_(page_count(cache_tokens), kernels::kPageTokens) {
  const auto& state = engine_->state;
  if (state.layers == 0) bad_input("{} keeps no cache: it is not a decoder", engine_->name);
  const auto page_bytes = static_cast<std::size_t>(state.page_bytes);
  for (std::int32_t layer = 0; layer < state.layers; ++layer) {
    cache_.push_back(backend.allocate(page_bytes * static_cast<std::size_t>(table_.total_pages())));
    layers_.push_back({cache_.back().get(), page_bytes});
  }
  const auto& logits = engine_->values[static_cast<std::size_t>(engine_->outputs.at(0))];
  vocabulary_ = logits.shape.back().constant().value_or(0);
}

std::size_t DecoderSession::cache_bytes() const {
  return layers_.size() * static_cast<std::size_t>(engine_->state.page_bytes) *
         static_cast<std::size_t>(table_.total_pages());
}

bool DecoderSession::depends_on_length() const {
  return std::any_of(engine_->inputs.begin(), engine_->inputs.end(), [&](auto index) {
    return engine_->values[static_cast<std::size_t>(index)].name ==
           engine::decoder_inputs::kLengths;
  });
}

void DecoderSession::reserve(std::span<const Input> inputs) {
  std::int64_t wanted = 0;
  for (const Input& input : inputs) {
    for (const std::int32_t token : input.tokens) {
      if (token < 0 || token >= vocabulary_) {
        bad_input("token id {} is outside the vocabulary of {}", token, vocabulary_);
      }
    }
    wanted += static_cast<std::int64_t>(input.tokens.size());
  }
  std::vector<PageTable::Copy> copies;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (table_.extend(inputs[i].sequence, static_cast<std::int64_t>(inputs[i].tokens.size()),
                      copies))
      continue;
    // Copies made so far stay: a private page is as good as a shared one.
    copy_pages(copies);
    for (std::size_t j = 0; j < i; ++j) {
      const auto added = static_cast<std::int64_t>(inputs[j].tokens.size());
      table_.truncate(inputs[j].sequence, table_.length(inputs[j].sequence) - added);
    }
    fail(ErrorCode::resource,
         "the cache of {} tokens is full: {} more were wanted, {} pages of {} are free",
         static_cast<std::int64_t>(table_.total_pages()) * kernels::kPageTokens, wanted,
         table_.free_pages(), table_.total_pages());
  }
  copy_pages(copies);
}

void DecoderSession::copy_pages(std::span<const PageTable::Copy> copies) {
  for (const auto& copy : copies) {
    for (const auto& layer : layers_) {
      std::memcpy(layer.pages + static_cast<std::size_t>(copy.to) * layer.page_bytes,
                  layer.pages + static_cast<std::size_t>(copy.from) * layer.page_bytes,
                  layer.page_bytes);
    }
  }
}

TensorView DecoderSession::forward(std::span<const Input> inputs) {
  reserve(inputs);
  ids_.clear();
  positions_.clear();
  lengths_.clear();
  rows_.clear();
  slices_.clear();
  for (const Input& input : inputs) {
    const auto rows = static_cast<std::int64_t>(input.tokens.size());
    const std::int64_t length = table_.length(input.sequence);
    const auto first = static_cast<std::int64_t>(ids_.size());
    slices_.push_back({static_cast<std::int32_t>(first), static_cast<std::int32_t>(rows),
                       static_cast<std::int32_t>(length - rows), table_.pages(input.sequence)});
    for (std::int64_t i = 0; i < rows; ++i) {
      ids_.push_back(input.tokens[static_cast<std::size_t>(i)]);
      positions_.push_back(length - rows + i);
      lengths_.push_back(std::max(length, input.final_length));
      if (input.logits == Logits::all || (input.logits == Logits::last && i + 1 == rows))
        rows_.push_back(first + i);
    }
  }
  if (ids_.empty()) bad_input("no tokens were given");

  const auto tokens = static_cast<std::int64_t>(ids_.size());
  const auto view = [](const std::vector<std::int64_t>& numbers, Shape shape) {
    return TensorView{DType::i64, std::move(shape),
                      reinterpret_cast<const std::byte*>(numbers.data())};
  };
  std::vector<TensorView> views;
  for (const auto index : engine_->inputs) {
    const std::string& name = engine_->values[static_cast<std::size_t>(index)].name;
    if (name == engine::decoder_inputs::kTokens) {
      views.push_back(view(ids_, {1, tokens}));
    } else if (name == engine::decoder_inputs::kPositions) {
      views.push_back(view(positions_, {1, tokens}));
    } else if (name == engine::decoder_inputs::kLengths) {
      views.push_back(view(lengths_, {1, tokens}));
    } else if (name == engine::decoder_inputs::kRows) {
      views.push_back(view(rows_, {static_cast<std::int64_t>(rows_.size())}));
    } else {
      bad_input("a decoder has no input {}", name);
    }
  }
  const kernels::RaggedBatch batch{slices_, layers_};
  executor_.prepare(views);
  executor_.run(views, &batch);
  TensorView logits = executor_.output(0);
  logits.shape = {static_cast<std::int64_t>(rows_.size()), vocabulary_};
  return logits;
}

}  // namespace tenon::session
