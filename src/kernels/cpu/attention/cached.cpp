#include "kernels/cpu/attention/cached.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/half.h"
#include "kernels/cpu/attention/cached_spec.h"
#include "kernels/cpu/attention/plan.h"

namespace tenon::kernels::cpu::attention {
namespace {

constexpr std::int64_t kAlignment = 64;

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Sizes of the page layout described at TileWork.
struct PageLayout {
  std::int64_t step, dim, padded_dim, key_bytes, value_bytes;

  PageLayout(const CachedSpec& spec, std::int64_t layout_step)
      : step(layout_step),
        dim(round_up(spec.head_dim, layout_step)),
        padded_dim(round_up(spec.head_dim, 16)),
        key_bytes(kPageTokens * dim * element()),
        value_bytes(kPageTokens * padded_dim * element()) {}
  std::int64_t element() const { return step == 1 ? 4 : 2; }
  std::int64_t head_bytes() const { return key_bytes + value_bytes; }
};

/// max, total and sums of the queries of a tile over some of its sections.
struct Partial {
  float* highest;
  float* totals;
  float* sums;

  Partial(float* room) : highest(room), totals(room + kTileQueries), sums(totals + kTileQueries) {}
  static std::int64_t floats(const PageLayout& layout) {
    return kTileQueries * (2 + layout.padded_dim);
  }
};

/// The workspace of one thread, in floats.
struct Room {
  std::int64_t queries, head, scores, section, whole, limits, shared, size;

  explicit Room(const PageLayout& layout) {
    std::int64_t at = 0;
    const auto take = [&](std::int64_t floats) {
      const std::int64_t begin = at;
      at += round_up(floats, kAlignment / 4);
      return begin;
    };
    queries = take(kTileQueries * layout.dim);
    head = take(layout.dim);
    scores = take(kTileQueries * kBlockTokens);
    section = take(Partial::floats(layout));
    whole = take(Partial::floats(layout));
    limits = take(kTileQueries * 2);
    shared = take(kMaxSections * Partial::floats(layout));
    size = at;
  }
};

/// `into` becomes the softmax sums over the tokens of both. Called in the order of the sections.
void merge(const Partial& from, const Partial& into, int count, std::int64_t width) {
  for (int i = 0; i < count; ++i) {
    const float before = into.highest[i];
    const float other = from.highest[i];
    const float top = other <= before ? before : other;
    const float shift = top == -std::numeric_limits<float>::infinity() ? 0.0F : top;
    const float keep = std::exp2(before - shift);
    const float gain = std::exp2(other - shift);
    into.highest[i] = top;
    into.totals[i] = into.totals[i] * keep + from.totals[i] * gain;
    float* sums = into.sums + i * width;
    const float* more = from.sums + i * width;
    for (std::int64_t d = 0; d < width; ++d) sums[d] = sums[d] * keep + more[d] * gain;
  }
}

void clear(const Partial& partial, int count, std::int64_t width) {
  std::fill_n(partial.highest, count, -std::numeric_limits<float>::infinity());
  std::fill_n(partial.totals, count, 0.0F);
  std::fill_n(partial.sums, count * width, 0.0F);
}

class CachedAttention {
 public:
  CachedAttention(const CachedSpec& spec, const TileKernel& kernel)
      : spec_(spec), kernel_(kernel), layout_(spec, kernel.step), room_(layout_) {}

  void operator()(const Invocation& call) const {
    store_all(call);
    const int members = call.pool->size();
    call.pool->run([&](int member) { attend_share(call, member, members); });
    if (members > 1) {
      call.pool->run([&](int member) { finish_shared(call, member, members); });
    }
  }

 private:
  float* room(const Invocation& call, int member) const {
    return reinterpret_cast<float*>(call.workspace) + member * room_.size;
  }
  const KvLayer& layer(const Invocation& call) const {
    return call.batch->layers[static_cast<std::size_t>(spec_.layer)];
  }

  /// The head at `x`, rotated, times `factor`.
  void rotate(const Invocation& call, const float* x, std::int64_t row, float factor,
              float* out) const {
    const std::int64_t half = spec_.rotary_dim / 2;
    if (half > 0) {
      const float* cos = call.inputs[3].as<float>().data() + row * half;
      const float* sin = call.inputs[4].as<float>().data() + row * half;
      const std::int64_t step = spec_.interleaved ? 2 : 1;
      const std::int64_t apart = spec_.interleaved ? 1 : half;
      for (std::int64_t i = 0; i < half; ++i) {
        const float a = x[i * step];
        const float b = x[i * step + apart];
        out[i * step] = (a * cos[i] - b * sin[i]) * factor;
        out[i * step + apart] = (b * cos[i] + a * sin[i]) * factor;
      }
    }
    for (std::int64_t i = spec_.rotary_dim; i < spec_.head_dim; ++i) out[i] = x[i] * factor;
    if (layout_.dim > spec_.head_dim) out[spec_.head_dim] = 0.0F;
  }

  template <typename T>
  void store_head(const float* key, const float* value, std::byte* at, std::int64_t token) const {
    const std::int64_t step = layout_.step;
    T* keys = reinterpret_cast<T*>(at);
    for (std::int64_t d = 0; d < layout_.dim; ++d) {
      keys[(d / step * kPageTokens + token) * step + d % step] = T(key[d]);
    }
    T* values = reinterpret_cast<T*>(at + layout_.key_bytes) +
                token / step * step * layout_.padded_dim + token % step;
    for (std::int64_t d = 0; d < spec_.head_dim; ++d) values[d * step] = T(value[d]);
  }

  void store(const Invocation& call, const SequenceSlice& sequence, std::int64_t head,
             std::int64_t i, float* rotated) const {
    const std::int64_t row = sequence.first_row + i;
    const std::int64_t position = sequence.context + i;
    const float* key = call.inputs[1].as<float>().data() + spec_.k.at(row, head);
    const float* value = call.inputs[2].as<float>().data() + spec_.v.at(row, head);
    rotate(call, key, row, 1.0F, rotated);
    const auto page = sequence.pages[static_cast<std::size_t>(position / kPageTokens)];
    std::byte* at = layer(call).pages + static_cast<std::size_t>(page) * layer(call).page_bytes +
                    head * layout_.head_bytes();
    if (layout_.step == 1) {
      store_head<float>(rotated, value, at, position % kPageTokens);
    } else {
      store_head<BFloat16>(rotated, value, at, position % kPageTokens);
    }
  }

  /// Token after token of one head: neighbours lie in the same lines of a page.
  void store_all(const Invocation& call) const {
    std::int64_t rows = 0;
    for (const auto& sequence : call.batch->sequences) rows += sequence.rows;
    const int members = call.pool->size();
    const std::int64_t all = rows * spec_.kv_heads;
    const auto share = [&](int member) {
      const std::int64_t begin = all * member / members;
      const std::int64_t end = all * (member + 1) / members;
      std::int64_t at = 0;
      for (const auto& sequence : call.batch->sequences) {
        const std::int64_t here = sequence.rows * spec_.kv_heads;
        for (std::int64_t i = std::max(begin, at); i < std::min(end, at + here); ++i) {
          store(call, sequence, (i - at) / sequence.rows, (i - at) % sequence.rows,
                room(call, member) + room_.head);
        }
        at += here;
      }
    };
    call.pool->run(share);
  }

  void pack_queries(const Invocation& call, const TileShare& share, float* own) const {
    const SequenceSlice& sequence = share.sequence;
    const Tile& tile = share.tile;
    const float factor = spec_.scale * std::numbers::log2e_v<float>;
    auto* limits = reinterpret_cast<std::int64_t*>(own + room_.limits);
    float* head = own + room_.head;
    for (int i = 0; i < tile.count(); ++i) {
      const std::int64_t query = tile.first + i;
      const std::int64_t row = query / spec_.group();
      const std::int64_t q_head = share.kv_head * spec_.group() + query % spec_.group();
      limits[i] = sequence.context + row + 1;
      const float* x =
          call.inputs[0].as<float>().data() + spec_.q.at(sequence.first_row + row, q_head);
      rotate(call, x, sequence.first_row + row, factor, head);
      const std::int64_t step = layout_.step;
      const std::int64_t first = i / kQueryBlock * kQueryBlock * layout_.dim;
      for (std::int64_t d = 0; d < layout_.dim; ++d) {
        const std::int64_t place =
            first + (d / step * kQueryBlock + i % kQueryBlock) * step + d % step;
        if (kernel_.narrow_queries) {
          reinterpret_cast<BFloat16*>(own + room_.queries)[place] = BFloat16(head[d]);
        } else {
          own[room_.queries + place] = head[d];
        }
      }
    }
  }

  void attend_section(const Invocation& call, const TileShare& share, std::int64_t section,
                      float* own, const Partial& result) const {
    const Tile& tile = share.tile;
    const auto offset = static_cast<std::size_t>(share.kv_head * layout_.head_bytes());
    const std::int64_t begin = section * tile.section_tokens;
    kernel_.attend({.queries = reinterpret_cast<const std::byte*>(own + room_.queries),
                    .count = tile.count(),
                    .limits = reinterpret_cast<const std::int64_t*>(own + room_.limits),
                    .cache = layer(call).pages,
                    .page_bytes = layer(call).page_bytes,
                    .pages = share.sequence.pages.data(),
                    .key_offset = offset,
                    .value_offset = offset + static_cast<std::size_t>(layout_.key_bytes),
                    .begin = begin,
                    .end = std::min(begin + tile.section_tokens, tile.tokens),
                    .dim = layout_.dim,
                    .padded_dim = layout_.padded_dim,
                    .scores = own + room_.scores,
                    .highest = result.highest,
                    .totals = result.totals,
                    .sums = result.sums});
  }

  /// The sections of a tile that straddles shares wait, one by one, in the room of the member that
  /// has the first of them.
  Partial shared_section(const Invocation& call, int member, std::int64_t section) const {
    return {room(call, member) + room_.shared + section * Partial::floats(layout_)};
  }

  void attend_share(const Invocation& call, int member, int members) const {
    float* own = room(call, member);
    const Partial part(own + room_.section);
    const Partial whole(own + room_.whole);
    visit_share(*call.batch, spec_.kv_heads, spec_.group(), member, members,
                [&](const TileShare& share) {
                  pack_queries(call, share, own);
                  if (!share.whole()) {
                    for (std::int64_t s = share.begin; s < share.end; ++s) {
                      attend_section(call, share, s, own, shared_section(call, share.owner, s));
                    }
                    return;
                  }
                  clear(whole, share.tile.count(), layout_.padded_dim);
                  for (std::int64_t s = share.begin; s < share.end; ++s) {
                    attend_section(call, share, s, own, part);
                    merge(part, whole, share.tile.count(), layout_.padded_dim);
                  }
                  finish(call, share, whole);
                });
  }

  void finish_shared(const Invocation& call, int member, int members) const {
    const Partial whole(room(call, member) + room_.whole);
    visit_share(
        *call.batch, spec_.kv_heads, spec_.group(), member, members, [&](const TileShare& share) {
          if (share.whole() || share.owner != member) return;
          clear(whole, share.tile.count(), layout_.padded_dim);
          for (std::int64_t s = 0; s < share.tile.sections(); ++s) {
            merge(shared_section(call, member, s), whole, share.tile.count(), layout_.padded_dim);
          }
          finish(call, share, whole);
        });
  }

  void finish(const Invocation& call, const TileShare& share, const Partial& whole) const {
    const Tile& tile = share.tile;
    float* out = call.outputs[0].as<float>().data();
    for (int i = 0; i < tile.count(); ++i) {
      const std::int64_t query = tile.first + i;
      const std::int64_t row = share.sequence.first_row + query / spec_.group();
      const std::int64_t head = share.kv_head * spec_.group() + query % spec_.group();
      float* y = out + (row * spec_.q_heads + head) * spec_.head_dim;
      const float* sums = whole.sums + i * layout_.padded_dim;
      const float factor = whole.totals[i] == 0.0F ? 0.0F : 1.0F / whole.totals[i];
      for (std::int64_t d = 0; d < spec_.head_dim; ++d) y[d] = sums[d] * factor;
    }
  }

  CachedSpec spec_;
  TileKernel kernel_;
  PageLayout layout_;
  Room room_;
};

std::size_t page_bytes(const StepDescription& step, std::int64_t layout_step) {
  const CachedSpec spec = *parse_cached(step);
  return static_cast<std::size_t>(
      round_up(spec.kv_heads * PageLayout(spec, layout_step).head_bytes(), kAlignment));
}

bool accepts_cache(const StepDescription& step, DType cache) {
  const auto spec = parse_cached(step);
  return spec.has_value() && spec->cache == cache;
}

}  // namespace

bool accepts_float_cache(const StepDescription& step) { return accepts_cache(step, DType::f32); }
bool accepts_bfloat_cache(const StepDescription& step) { return accepts_cache(step, DType::bf16); }
std::size_t float_page_bytes(const StepDescription& step) { return page_bytes(step, 1); }
std::size_t bfloat_page_bytes(const StepDescription& step) { return page_bytes(step, 2); }

std::size_t cached_workspace(const StepDescription& step, std::span<const Shape>, int threads) {
  const CachedSpec spec = *parse_cached(step);
  // A layout of step 2 is never narrower than one of step 1.
  return static_cast<std::size_t>(threads * Room(PageLayout(spec, 2)).size) * sizeof(float);
}

BoundKernel bind_cached(const StepDescription& step, const TileKernel& kernel) {
  return CachedAttention(*parse_cached(step), kernel);
}

}  // namespace tenon::kernels::cpu::attention
