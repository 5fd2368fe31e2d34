// A model of the session for tests and benches of tenon.CachedAttention: sequences, shuffled pages,
// operands, guards around everything that a kernel may write.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <stdexcept>
#include <vector>

#include <sys/mman.h>

#include "kernels/cpu/attention/cached_spec.h"
#include "kernels/kernel.h"

namespace tenon::kernels::cpu::attention {

struct CachedCase {
  int q_heads = 2, kv_heads = 1, dim = 16, rotary_dim = 0;
  bool interleaved = false;
  bool fused = false;  ///< q, k and v in one operand, interleaved head by head
  bool bf16 = false;
  int threads = 1;
};

/// New tokens of one sequence in a step.
struct Chunk {
  int sequence, rows;
};

class CachedHarness {
 public:
  CachedHarness(const KernelRow& row, const CachedCase& c, int sequences, int max_tokens)
      : case_(c), pool_(c.threads), pages_each_((max_tokens + kPageTokens - 1) / kPageTokens) {
    describe(1);
    if (!row.accepts(step_)) throw std::runtime_error("the row does not accept the case");
    kernel_ = row.bind(step_);
    page_bytes_ = row.page_bytes(step_);
    workspace_bytes_ = row.workspace(step_, {}, c.threads);
    workspace_.assign(workspace_bytes_ + 3 * kGuard, kMark);

    const int pages = sequences * pages_each_;
    // 0xff everywhere is NaN in every float type: what no one has written must not be used.
    const std::size_t bytes = static_cast<std::size_t>(pages) * page_bytes_;
    cache_.reserve(bytes + 2 * kGuard + 2 * kHugePage);
    // As the backend keeps it: aligned, in huge pages where the system has some.
    const auto huge = reinterpret_cast<std::uintptr_t>(cache_.data()) / kHugePage * kHugePage;
    ::madvise(reinterpret_cast<void*>(huge + kHugePage), bytes, MADV_HUGEPAGE);
    cache_.assign(bytes + 2 * kGuard + 2 * kHugePage, kMark);
    cache_begin_ = 2 * kHugePage - reinterpret_cast<std::uintptr_t>(cache_.data()) % kHugePage;
    cache_end_ = cache_begin_ + bytes;
    std::vector<std::int32_t> order(static_cast<std::size_t>(pages));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::mt19937(7));
    for (int s = 0; s < sequences; ++s) {
      tables_.emplace_back(order.begin() + s * pages_each_, order.begin() + (s + 1) * pages_each_);
    }
    lengths_.assign(static_cast<std::size_t>(sequences), 0);
  }

  /// Runs one step; the outputs of all rows, [rows][q_heads * dim]. A token's operands depend on
  /// its sequence and position alone.
  std::vector<float> run(const std::vector<Chunk>& chunks) {
    fill(chunks);
    invoke();
    check_guards();
    for (const Chunk& chunk : chunks) {
      lengths_[static_cast<std::size_t>(chunk.sequence)] += chunk.rows;
    }
    return {out_.begin() + kGuard, out_.end() - kGuard};
  }

  /// Operands for run() and the same call again and again, for benches.
  void fill(const std::vector<Chunk>& chunks) {
    slices_.clear();
    rows_ = 0;
    for (const Chunk& chunk : chunks) {
      const auto s = static_cast<std::size_t>(chunk.sequence);
      slices_.push_back({rows_, chunk.rows, lengths_[s], tables_[s]});
      rows_ += chunk.rows;
    }
    q_.clear(), k_.clear(), v_.clear(), cos_.clear(), sin_.clear();
    for (const Chunk& chunk : chunks) {
      for (int i = 0; i < chunk.rows; ++i) {
        const int position = lengths_[static_cast<std::size_t>(chunk.sequence)] + i;
        fill_row(chunk.sequence, position);
      }
    }
    out_.assign(static_cast<std::size_t>(rows_) * out_width() + 2 * kGuard, kOutMark);
  }

  void invoke() {
    const std::int64_t rows = rows_;
    const std::int64_t half = case_.rotary_dim / 2;
    const std::int64_t q_width = step_.inputs[0].shape.back();
    const std::int64_t kv_width = step_.inputs[1].shape.back();
    const auto view = [&](const std::vector<float>& data, std::int64_t width) {
      return TensorView{DType::f32, {1, rows, width}, std::as_bytes(std::span(data)).data()};
    };
    std::vector<TensorView> inputs;
    if (case_.fused) {
      inputs = {view(q_, q_width), view(q_, q_width), view(q_, q_width)};
    } else {
      inputs = {view(q_, q_width), view(k_, kv_width), view(v_, kv_width)};
    }
    if (half > 0) {
      inputs.push_back(view(cos_, half));
      inputs.push_back(view(sin_, half));
    }
    const MutableTensorView out{
        DType::f32,
        {1, rows, static_cast<std::int64_t>(out_width())},
        std::as_writable_bytes(std::span(out_)).subspan(kGuard * sizeof(float)).data()};
    const KvLayer layers[2] = {{nullptr, 0}, {cache_.data() + cache_begin_, page_bytes_}};
    const RaggedBatch batch{slices_, layers};
    auto* room = reinterpret_cast<std::byte*>(
        (reinterpret_cast<std::uintptr_t>(workspace_.data()) + kGuard) / 64 * 64);
    kernel_({.inputs = inputs,
             .outputs = std::span(&out, 1),
             .workspace = room,
             .pool = &pool_,
             .batch = &batch});
    room_end_ = room + workspace_bytes_;
  }

  std::size_t out_width() const { return static_cast<std::size_t>(case_.q_heads * case_.dim); }
  /// Takes tokens as cached without having run them: for benches. Zeros would be unlike scores.
  void pretend(int tokens) {
    std::minstd_rand random(1);
    constexpr std::size_t kPiece = 4093;
    for (std::size_t i = 0; i < cache_.size(); ++i) {
      cache_[i] = i < kPiece ? static_cast<std::byte>(random() >> 8 & 0x3fU) : cache_[i - kPiece];
    }
    std::fill(lengths_.begin(), lengths_.end(), tokens);
  }
  /// Lets the one chunk that was filled belong to another sequence of the same length.
  void turn_to(int sequence) { slices_[0].pages = tables_[static_cast<std::size_t>(sequence)]; }

 private:
  static constexpr std::size_t kGuard = 128;
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;
  static constexpr std::byte kMark{0xff};
  static constexpr float kOutMark = -12345.0F;

  void describe(std::int64_t rows) {
    const CachedCase& c = case_;
    const std::int64_t group = c.q_heads / c.kv_heads;
    const std::int64_t dim = c.dim;
    attributes_ = {{"layer", std::int64_t{1}},
                   {"q_heads", std::int64_t{c.q_heads}},
                   {"kv_heads", std::int64_t{c.kv_heads}},
                   {"head_dim", dim},
                   {"rotary_dim", std::int64_t{c.rotary_dim}},
                   {"interleaved", std::int64_t{c.interleaved}},
                   {"cache_dtype", c.bf16 ? "bf16" : "fp32"}};
    attributes_.set("scale", 1.0F / std::sqrt(static_cast<float>(dim)));
    std::int64_t q_width = c.q_heads * dim;
    std::int64_t kv_width = c.kv_heads * dim;
    if (c.fused) {  // [head][q, k, v][dim]; needs as many q heads as kv heads
      if (group != 1) throw std::runtime_error("fused operands need a group of one");
      q_width = kv_width = 3 * q_width;
      attributes_.set("k_offset", dim);
      attributes_.set("v_offset", 2 * dim);
      for (const char* name : {"q_head_stride", "k_head_stride", "v_head_stride"}) {
        attributes_.set(name, 3 * dim);
      }
    }
    const auto operand = [&](std::int64_t width) {
      StepDescription::Operand made;
      made.shape = {1, rows, width};
      return made;
    };
    step_.op = "tenon.CachedAttention";
    step_.attributes = &attributes_;
    step_.inputs = {operand(q_width), operand(kv_width), operand(kv_width)};
    if (c.rotary_dim > 0) {
      step_.inputs.push_back(operand(c.rotary_dim / 2));
      step_.inputs.push_back(operand(c.rotary_dim / 2));
    }
    step_.outputs = {operand(c.q_heads * dim)};
  }

  void fill_row(int sequence, int position) {
    std::minstd_rand random(static_cast<unsigned>(1 + sequence * 100003 + position));
    random.discard(8);
    std::uniform_real_distribution<float> uniform(-1.0F, 1.0F);
    const auto append = [&](std::vector<float>& to, std::int64_t width) {
      for (std::int64_t i = 0; i < width; ++i) to.push_back(uniform(random));
    };
    append(q_, step_.inputs[0].shape.back());
    if (!case_.fused) {
      append(k_, step_.inputs[1].shape.back());
      append(v_, step_.inputs[2].shape.back());
    }
    for (int i = 0; i < case_.rotary_dim / 2; ++i) {
      const double angle = position * std::pow(100.0, -2.0 * i / case_.rotary_dim);
      cos_.push_back(static_cast<float>(std::cos(angle)));
      sin_.push_back(static_cast<float>(std::sin(angle)));
    }
  }

  void check_guards() const {
    for (std::size_t i = 0; i < kGuard; ++i) {
      if (cache_[cache_begin_ - 1 - i] != kMark || cache_[cache_end_ + i] != kMark ||
          room_end_[i] != kMark || out_[i] != kOutMark || out_[out_.size() - 1 - i] != kOutMark) {
        throw std::runtime_error("a guard was overwritten");
      }
      if (i < kGuard / 2 && workspace_[i] != kMark) {
        throw std::runtime_error("a guard before the workspace was overwritten");
      }
    }
  }

  CachedCase case_;
  ThreadPool pool_;
  int pages_each_;
  Attributes attributes_;
  StepDescription step_;
  BoundKernel kernel_;
  std::size_t page_bytes_ = 0;
  std::size_t workspace_bytes_ = 0;
  std::vector<std::byte> cache_, workspace_;
  std::size_t cache_begin_ = 0, cache_end_ = 0;
  std::byte* room_end_ = nullptr;
  std::vector<std::vector<std::int32_t>> tables_;
  std::vector<std::int32_t> lengths_;
  std::vector<SequenceSlice> slices_;
  std::int32_t rows_ = 0;
  std::vector<float> q_, k_, v_, cos_, sin_, out_;
};

}  // namespace tenon::kernels::cpu::attention
