// Runs a decoder engine on a ragged batch of sequences over a paged cache.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "session/executor.h"
#include "session/page_table.h"

namespace tenon::session {

/// Which tokens of an input want logits.
enum class Logits { none, last, all };

/// One thread at a time; many sessions may share an engine, each with its own cache. The backend
/// must outlive it.
class DecoderSession {
 public:
  using Sequence = PageTable::Sequence;
  struct Input {
    Sequence sequence;
    std::span<const std::int32_t> tokens;
    Logits logits = Logits::last;
    /// Length that the sequence will reach when its whole prompt is in: what dynamic rotary scaling
    /// goes by. 0: the length after this run.
    std::int64_t final_length = 0;
  };

  /// The cache holds `cache_tokens` positions in all (rounded up to pages); memory is touched page
  /// by page as it comes into use.
  DecoderSession(std::shared_ptr<const engine::Engine> engine, backend::Backend& backend,
                 std::int64_t cache_tokens);

  Sequence create() { return table_.create(); }
  /// Shares the cache so far, copied only where one of the two writes.
  Sequence fork(Sequence sequence) { return table_.fork(sequence); }
  void release(Sequence sequence) { table_.release(sequence); }
  void truncate(Sequence sequence, std::int64_t length) { table_.truncate(sequence, length); }
  std::int64_t length(Sequence sequence) const { return table_.length(sequence); }

  /// Appends the tokens and returns the logits asked for, [rows, vocabulary] float32, in the order
  /// of the inputs; valid until the next call. Each sequence stands in at most one input.
  /// Error(resource) when the cache is full, Error(bad_input) for an id outside the vocabulary;
  /// nothing is changed then.
  TensorView forward(std::span<const Input> inputs);

  std::int64_t vocabulary() const { return vocabulary_; }
  std::int64_t context_length() const { return engine_->state.context_length; }
  const PageTable& pages() const { return table_; }
  /// For whoever keeps pages beyond their sequences. Sequences that it makes may be used above.
  PageTable& pages() { return table_; }
  /// Whether what stands in the cache depends on how long the sequence becomes (dynamic rotary
  /// scaling): then sequences of different lengths cannot share pages.
  bool depends_on_length() const;
  std::size_t cache_bytes() const;
  Executor& executor() { return executor_; }
  const engine::Engine& engine() const { return *engine_; }

 private:
  void reserve(std::span<const Input> inputs);
  void copy_pages(std::span<const PageTable::Copy> copies);

  std::shared_ptr<const engine::Engine> engine_;
  Executor executor_;
  PageTable table_;
  std::vector<std::shared_ptr<std::byte>> cache_;  // one a layer
  std::vector<kernels::KvLayer> layers_;
  std::int64_t vocabulary_ = 0;
  std::vector<std::int64_t> ids_;
  std::vector<std::int64_t> positions_;
  std::vector<std::int64_t> lengths_;
  std::vector<std::int64_t> rows_;
  std::vector<kernels::SequenceSlice> slices_;
};

}  // namespace tenon::session
