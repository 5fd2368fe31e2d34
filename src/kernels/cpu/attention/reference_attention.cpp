// tenon.Attention and ONNX Attention, plainly: one formula over operands that are described by
// strides.
#include <array>
#include <cmath>

#include "kernels/cpu/any_float.h"
#include "kernels/cpu/attention/mask.h"
#include "kernels/cpu/attention/plain_spec.h"
#include "kernels/cpu/attention/reference.h"
#include "kernels/cpu/attention/softmax_sum.h"

namespace tenon::kernels::cpu::attention {
namespace {

constexpr double kNever = Mask::kHidden;

/// [batch, head, token, element], wherever the four lie in memory.
struct Operand {
  FloatReader data;
  std::int64_t heads = 0, tokens = 0, dim = 0;
  HeadPlaces where{};

  std::int64_t at(std::int64_t batch, std::int64_t head, std::int64_t token) const {
    return where.at(batch, head, token);
  }
};

/// 4-D [B, H, S, D] or 3-D [B, S, H * D].
Operand operand_of(const FloatReader& data, const Shape& shape, std::int64_t heads) {
  if (shape.size() == 4) {
    return {data,
            shape[1],
            shape[2],
            shape[3],
            {0, shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3]}};
  }
  const std::int64_t dim = shape[2] / heads;
  return {data, heads, shape[1], dim, {0, shape[1] * shape[2], dim, shape[2]}};
}

struct Options {
  double scale = 1.0;
  double softcap = 0.0;  // 0: none
  bool causal = false;
  std::int64_t left_window = -1, right_window = -1;  // -1: open
  std::int64_t q_heads = 0, kv_heads = 0;            // of 3-D inputs
  bool scale_given = false;
};

/// What one call works on. Keys 0 .. past.tokens - 1 are the past's, the others k's.
struct Call {
  Operand q, k, v, past_k, past_v;
  Mask mask;
  const Options& options;

  std::int64_t keys() const { return past_k.tokens + k.tokens; }
  bool visible(std::int64_t position, std::int64_t t, std::int64_t valid) const {
    if (t >= valid || (options.causal && t > position)) return false;
    if (options.left_window >= 0 && t < position - options.left_window) return false;
    return options.right_window < 0 || t <= position + options.right_window;
  }
};

void dot_row(const Call& call, std::int64_t b, std::int64_t h, std::int64_t s, std::int64_t offset,
             std::int64_t valid, std::span<double> sum) {
  const Options& options = call.options;
  const std::int64_t kv_head = h / (call.q.heads / call.k.heads);
  const std::int64_t past = call.past_k.tokens;
  const std::int64_t query = call.q.at(b, h, s);
  const auto score = [&](std::int64_t t) {
    const double bias = call.mask.at(b, h, s, t);
    if (bias == kNever || !call.visible(s + offset, t, valid)) return kNever;
    const Operand& from = t < past ? call.past_k : call.k;
    const std::int64_t key = from.at(b, kv_head, t < past ? t : t - past);
    double dot = 0.0;
    for (std::int64_t d = 0; d < call.q.dim; ++d)
      dot += call.q.data[query + d] * from.data[key + d];
    dot *= options.scale;
    if (options.softcap > 0.0) dot = options.softcap * std::tanh(dot / options.softcap);
    return dot + bias;
  };
  const auto value = [&](std::int64_t t, std::int64_t d) {
    const Operand& from = t < past ? call.past_v : call.v;
    return from.data[from.at(b, kv_head, t < past ? t : t - past) + d];
  };
  softmax_sum(call.keys(), score, value, sum);
}

/// `nonpad`, when there, tells how many keys of each batch entry count and moves the causal edge.
void attend(const Invocation& invocation, const Call& call, std::int64_t batch,
            const std::int64_t* nonpad) {
  const FloatWriter y(invocation.outputs[0]);
  const bool four_d = invocation.outputs[0].shape.size() == 4;
  const std::int64_t tokens = call.q.tokens;
  const std::int64_t heads = call.q.heads;
  const std::int64_t dim = call.v.dim;
  const int members = invocation.pool->size();
  invocation.pool->run([&](int member) {
    const std::span sum(reinterpret_cast<double*>(invocation.workspace) + member * dim,
                        static_cast<std::size_t>(dim));
    for (std::int64_t i = member; i < batch * heads * tokens; i += members) {
      const std::int64_t s = i % tokens;
      const std::int64_t h = i / tokens % heads;
      const std::int64_t b = i / tokens / heads;
      const std::int64_t valid = nonpad != nullptr ? nonpad[b] : call.keys();
      const std::int64_t offset = nonpad != nullptr ? nonpad[b] - tokens : call.past_k.tokens;
      dot_row(call, b, h, s, offset, valid, sum);
      const std::int64_t first = four_d ? i * dim : ((b * tokens + s) * heads + h) * dim;
      for (std::int64_t d = 0; d < dim; ++d) y.set(first + d, sum[static_cast<std::size_t>(d)]);
    }
  });
}

/// past and new, joined: [B, H, past + new, D].
void write_present(const Operand& past, const Operand& fresh, std::int64_t batch,
                   const MutableTensorView& out) {
  const FloatWriter y(out);
  std::int64_t next = 0;
  for (std::int64_t row = 0; row < batch * fresh.heads; ++row) {
    for (std::int64_t t = 0; t < past.tokens + fresh.tokens; ++t) {
      const bool old = t < past.tokens;
      const Operand& from = old ? past : fresh;
      const std::int64_t first =
          from.at(row / fresh.heads, row % fresh.heads, old ? t : t - past.tokens);
      for (std::int64_t d = 0; d < fresh.dim; ++d) y.set(next++, from.data[first + d]);
    }
  }
}

bool has(const Invocation& call, std::size_t i) {
  return i < call.inputs.size() && call.inputs[i].data != nullptr;
}

bool present(const StepDescription& step, std::size_t i) {
  return i < step.inputs.size() && step.inputs[i].present;
}

Options parse(const StepDescription& step) {
  const Attributes& a = *step.attributes;
  return {.scale = static_cast<double>(a.get_float("scale", 1.0F)),
          .softcap = static_cast<double>(a.get_float("softcap", 0.0F)),
          .causal = a.get_int("is_causal", 0) != 0,
          .left_window = a.get_int("left_window_size", -1),
          .right_window = a.get_int("right_window_size", -1),
          .q_heads = a.get_int("q_num_heads", 0),
          .kv_heads = a.get_int("kv_num_heads", 0),
          .scale_given = a.has("scale")};
}

bool float_operands(const StepDescription& step) {
  if (step.inputs.size() < 3 || step.outputs.empty() || !is_float(step.outputs[0].dtype)) {
    return false;
  }
  for (std::size_t i = 0; i < 3; ++i) {
    if (!step.inputs[i].present || !is_float(step.inputs[i].dtype)) return false;
    if (step.inputs[i].shape.size() != step.inputs[0].shape.size()) return false;
  }
  return true;
}

bool mask_fits(const StepDescription& step) {
  if (!present(step, 3)) return true;
  const auto& mask = step.inputs[3];
  return mask.shape.size() <= 4 && (is_float(mask.dtype) || mask.dtype == DType::boolean);
}

bool heads_divide(std::int64_t q_heads, std::int64_t kv_heads) {
  return q_heads > 0 && kv_heads > 0 && q_heads % kv_heads == 0;
}

}  // namespace

bool accepts_attention(const StepDescription& step) { return parse_plain(step).has_value(); }

BoundKernel bind_attention_reference(const StepDescription& step) {
  return [spec = *parse_plain(step), options = parse(step)](const Invocation& call) {
    const PlainSizes sizes =
        plain_sizes(spec, call.inputs[0].shape, call.inputs[1].shape, call.inputs[2].shape);
    const Operand none{FloatReader(DType::f32, nullptr)};
    const Mask mask =
        has(call, 3)
            ? Mask(call.inputs[3], {sizes.batch, sizes.q_heads, sizes.queries, sizes.keys}, true)
            : Mask();
    const Call work{
        {FloatReader(call.inputs[0]), sizes.q_heads, sizes.queries, sizes.dim, sizes.q},
        {FloatReader(call.inputs[1]), sizes.kv_heads, sizes.keys, sizes.dim, sizes.k},
        {FloatReader(call.inputs[2]), sizes.kv_heads, sizes.keys, sizes.value_dim, sizes.v},
        none,
        none,
        mask,
        options};
    attend(call, work, sizes.batch, nullptr);
  };
}

bool accepts_onnx_attention(const StepDescription& step) {
  if (!float_operands(step) || !mask_fits(step) || step.inputs.size() > 7) return false;
  for (std::size_t i = 3; i < step.outputs.size(); ++i) {
    if (step.outputs[i].present) return false;
  }
  if (present(step, 4) != present(step, 5) || (present(step, 4) && present(step, 6))) return false;
  for (const std::size_t i : {std::size_t{4}, std::size_t{5}}) {
    if (present(step, i) && (!is_float(step.inputs[i].dtype) || step.inputs[i].shape.size() != 4)) {
      return false;
    }
  }
  if (present(step, 6) && step.inputs[6].dtype != DType::i64) return false;
  const Options options = parse(step);
  const auto width = [&](std::size_t i) { return step.inputs[i].shape.back(); };
  if (step.inputs[0].shape.size() == 3) {
    return heads_divide(options.q_heads, options.kv_heads) && width(0) > 0 && width(2) > 0 &&
           width(0) % options.q_heads == 0 && width(1) % options.kv_heads == 0 &&
           width(2) % options.kv_heads == 0;
  }
  return step.inputs[0].shape.size() == 4 && width(0) > 0 && width(2) > 0 &&
         heads_divide(step.inputs[0].shape[1], step.inputs[1].shape[1]);
}

BoundKernel bind_onnx_attention_reference(const StepDescription& step) {
  return [given = parse(step)](const Invocation& call) {
    const auto fresh = [&](std::size_t i) {
      return operand_of(FloatReader(call.inputs[i]), call.inputs[i].shape,
                        i == 0 ? given.q_heads : given.kv_heads);
    };
    const auto past = [&](std::size_t i) {
      if (!has(call, i)) return Operand{FloatReader(DType::f32, nullptr)};
      return operand_of(FloatReader(call.inputs[i]), call.inputs[i].shape, 0);
    };
    Options options = given;
    const Operand q = fresh(0);
    if (!given.scale_given) options.scale = 1.0 / std::sqrt(static_cast<double>(q.dim));
    Call work{q, fresh(1), fresh(2), past(4), past(5), Mask(), options};
    const std::int64_t batch = call.inputs[0].shape[0];
    if (has(call, 3)) {
      work.mask = Mask(call.inputs[3], {batch, q.heads, q.tokens, work.keys()}, false);
    }
    attend(call, work, batch, has(call, 6) ? call.inputs[6].as<std::int64_t>().data() : nullptr);
    const auto wanted = [&](std::size_t i) {
      return i < call.outputs.size() && call.outputs[i].data != nullptr;
    };
    if (wanted(1)) write_present(work.past_k, work.k, batch, call.outputs[1]);
    if (wanted(2)) write_present(work.past_v, work.v, batch, call.outputs[2]);
  };
}

std::size_t attention_reference_workspace(const StepDescription& step,
                                          std::span<const Shape> inputs, int threads) {
  // A 3-D value row holds all heads: more than is needed, never less.
  (void)step;
  return static_cast<std::size_t>(threads * inputs[2].back()) * sizeof(double);
}

}  // namespace tenon::kernels::cpu::attention
