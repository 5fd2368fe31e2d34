// tenon.CachedAttention, plainly: write rotated keys and values, then attend row by row.
#include "kernels/cpu/any_float.h"
#include "kernels/cpu/attention/cached_spec.h"
#include "kernels/cpu/attention/reference.h"
#include "kernels/cpu/attention/softmax_sum.h"

namespace tenon::kernels::cpu::attention {
namespace {

/// Addresses of elements in a page: [key, value][kv_head][token][head_dim].
struct Page {
  const CachedSpec& spec;
  std::int64_t key(std::int64_t head, std::int64_t token) const {
    return (head * kPageTokens + token) * spec.head_dim;
  }
  std::int64_t value(std::int64_t head, std::int64_t token) const {
    return key(spec.kv_heads + head, token);
  }
};

/// The head rotated: pairs (a, b) become (a cos - b sin, b cos + a sin), the rest stays.
template <typename Read, typename Write>
void rotate(const CachedSpec& spec, const Invocation& call, std::int64_t row, Read read,
            Write write) {
  const std::int64_t half = spec.rotary_dim / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const std::int64_t a = spec.interleaved ? 2 * i : i;
    const std::int64_t b = spec.interleaved ? 2 * i + 1 : i + half;
    const double c = FloatReader(call.inputs[3])[row * half + i];
    const double s = FloatReader(call.inputs[4])[row * half + i];
    write(a, read(a) * c - read(b) * s);
    write(b, read(b) * c + read(a) * s);
  }
  for (std::int64_t i = spec.rotary_dim; i < spec.head_dim; ++i) write(i, read(i));
}

std::byte* page_of(const CachedSpec& spec, const RaggedBatch& batch, const SequenceSlice& sequence,
                   std::int64_t position) {
  const KvLayer& layer = batch.layers[static_cast<std::size_t>(spec.layer)];
  const auto page = sequence.pages[static_cast<std::size_t>(position / kPageTokens)];
  return layer.pages + static_cast<std::size_t>(page) * layer.page_bytes;
}

void store(const CachedSpec& spec, const Invocation& call, const SequenceSlice& sequence,
           std::int64_t i) {
  const FloatReader k(call.inputs[1]);
  const FloatReader v(call.inputs[2]);
  const std::int64_t row = sequence.first_row + i;
  const std::int64_t position = sequence.context + i;
  const std::int64_t token = position % kPageTokens;
  const FloatWriter page(spec.cache, page_of(spec, *call.batch, sequence, position));
  for (std::int64_t head = 0; head < spec.kv_heads; ++head) {
    const std::int64_t key = Page{spec}.key(head, token);
    const std::int64_t value = Page{spec}.value(head, token);
    rotate(
        spec, call, row, [&](std::int64_t d) { return k[spec.k.at(row, head) + d]; },
        [&](std::int64_t d, double x) { page.set(key + d, x); });
    for (std::int64_t d = 0; d < spec.head_dim; ++d) {
      page.set(value + d, v[spec.v.at(row, head) + d]);
    }
  }
}

/// `room` holds the rotated query and the sum: 2 * head_dim doubles.
void attend(const CachedSpec& spec, const Invocation& call, const SequenceSlice& sequence,
            std::int64_t i, double* room) {
  const FloatReader q(call.inputs[0]);
  const FloatWriter out(call.outputs[0]);
  const std::int64_t row = sequence.first_row + i;
  const std::int64_t dim = spec.head_dim;
  for (std::int64_t head = 0; head < spec.q_heads; ++head) {
    const std::int64_t kv_head = head / spec.group();
    rotate(
        spec, call, row, [&](std::int64_t d) { return q[spec.q.at(row, head) + d]; },
        [&](std::int64_t d, double x) { room[d] = x; });
    const std::span sum(room + dim, static_cast<std::size_t>(dim));
    const auto cached = [&](std::int64_t t) {
      return FloatReader(spec.cache, page_of(spec, *call.batch, sequence, t));
    };
    softmax_sum(
        sequence.context + i + 1,
        [&](std::int64_t t) {
          const FloatReader page = cached(t);
          const std::int64_t key = Page{spec}.key(kv_head, t % kPageTokens);
          double dot = 0.0;
          for (std::int64_t d = 0; d < dim; ++d) dot += room[d] * page[key + d];
          return dot * static_cast<double>(spec.scale);
        },
        [&](std::int64_t t, std::int64_t d) {
          return cached(t)[Page{spec}.value(kv_head, t % kPageTokens) + d];
        },
        sum);
    for (std::int64_t d = 0; d < dim; ++d) {
      out.set((row * spec.q_heads + head) * dim + d, sum[static_cast<std::size_t>(d)]);
    }
  }
}

}  // namespace

bool accepts_cached_reference(const StepDescription& step) {
  return parse_cached(step).has_value();
}

std::size_t cached_reference_page_bytes(const StepDescription& step) {
  const CachedSpec spec = *parse_cached(step);
  return static_cast<std::size_t>(2 * spec.kv_heads * kPageTokens * spec.head_dim) *
         dtype_size(spec.cache);
}

std::size_t cached_reference_workspace(const StepDescription& step, std::span<const Shape>,
                                       int threads) {
  return static_cast<std::size_t>(threads * 2 * parse_cached(step)->head_dim) * sizeof(double);
}

BoundKernel bind_cached_reference(const StepDescription& step) {
  return [spec = *parse_cached(step)](const Invocation& call) {
    const auto for_each_row = [&](auto&& work) {
      const int members = call.pool->size();
      call.pool->run([&](int member) {
        for (const SequenceSlice& sequence : call.batch->sequences) {
          for (std::int64_t i = member; i < sequence.rows; i += members) work(member, sequence, i);
        }
      });
    };
    for_each_row([&](int, const SequenceSlice& sequence, std::int64_t i) {
      store(spec, call, sequence, i);
    });
    auto* rooms = reinterpret_cast<double*>(call.workspace);
    for_each_row([&](int member, const SequenceSlice& sequence, std::int64_t i) {
      attend(spec, call, sequence, i, rooms + member * 2 * spec.head_dim);
    });
  };
}

}  // namespace tenon::kernels::cpu::attention
