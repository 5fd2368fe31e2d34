// ONNX RotaryEmbedding, plainly.
#include <limits>

#include "kernels/cpu/any_float.h"
#include "kernels/cpu/attention/reference.h"

namespace tenon::kernels::cpu::attention {
namespace {

struct RotarySpec {
  std::int64_t num_heads = 0;  // of a 3-D input
  std::int64_t rotary_dim = 0;
  bool interleaved = false;
};

/// Sizes and strides of x, whichever of its two forms it has.
struct Rows {
  std::int64_t batch, heads, tokens, dim;
  std::int64_t head_stride, token_stride;
};

Rows rows_of(const Shape& shape, const RotarySpec& spec) {
  if (shape.size() == 4) {
    return {shape[0], shape[1], shape[2], shape[3], shape[2] * shape[3], shape[3]};
  }
  const std::int64_t dim = shape[2] / spec.num_heads;
  return {shape[0], spec.num_heads, shape[1], dim, dim, shape[2]};
}

RotarySpec parse(const StepDescription& step) {
  return {.num_heads = step.attributes->get_int("num_heads", 0),
          .rotary_dim = step.attributes->get_int("rotary_embedding_dim", 0),
          .interleaved = step.attributes->get_int("interleaved", 0) != 0};
}

/// First element of the row of cos and sin that belongs to a token; -1 when there is none.
std::int64_t table_row(const Invocation& call, std::int64_t batch, std::int64_t token,
                       std::int64_t tokens) {
  const Shape& table = call.inputs[1].shape;
  const bool by_position = call.inputs.size() > 3 && call.inputs[3].data != nullptr;
  if (!by_position) return ((table[0] == 1 ? 0 : batch) * tokens + token) * table.back();
  const Shape& ids = call.inputs[3].shape;
  const auto positions = call.inputs[3].as<std::int64_t>();
  const std::int64_t index = (ids[0] == 1 ? 0 : batch) * tokens + token;
  const std::int64_t position = positions[static_cast<std::size_t>(index)];
  return position < 0 || position >= table[0] ? -1 : position * table.back();
}

}  // namespace

bool accepts_rotary(const StepDescription& step) {
  if (step.inputs.size() < 3 || step.outputs.size() != 1) return false;
  const auto& x = step.inputs[0];
  const RotarySpec spec = parse(step);
  if (!is_float(x.dtype) || !is_float(step.inputs[1].dtype) || !is_float(step.inputs[2].dtype) ||
      step.outputs[0].dtype != x.dtype) {
    return false;
  }
  if (x.shape.size() != 4 && x.shape.size() != 3) return false;
  if (x.shape.size() == 3 && (spec.num_heads <= 0 || x.shape[2] % spec.num_heads != 0)) {
    return false;
  }
  const std::int64_t dim = x.shape.size() == 4 ? x.shape[3] : x.shape[2] / spec.num_heads;
  const std::int64_t rotary = spec.rotary_dim == 0 ? dim : spec.rotary_dim;
  if (dim <= 0 || rotary < 2 || rotary > dim || rotary % 2 != 0) return false;
  const bool by_position = step.inputs.size() > 3 && step.inputs[3].present;
  if (by_position && (step.inputs[3].dtype != DType::i64 || step.inputs[3].shape.size() != 2)) {
    return false;
  }
  const Shape& cos = step.inputs[1].shape;
  const Shape& sin = step.inputs[2].shape;
  return cos.size() == (by_position ? 2U : 3U) && sin.size() == cos.size() &&
         cos.back() == rotary / 2 && sin.back() == rotary / 2;
}

BoundKernel bind_rotary_reference(const StepDescription& step) {
  return [spec = parse(step)](const Invocation& call) {
    const Rows rows = rows_of(call.inputs[0].shape, spec);
    const std::int64_t rotary = spec.rotary_dim == 0 ? rows.dim : spec.rotary_dim;
    const std::int64_t half = rotary / 2;
    const FloatReader x(call.inputs[0]);
    const FloatReader cos(call.inputs[1]);
    const FloatReader sin(call.inputs[2]);
    const FloatWriter y(call.outputs[0]);
    const auto rotate = [&](std::int64_t first, std::int64_t table) {
      for (std::int64_t i = 0; i < half; ++i) {
        const std::int64_t a = first + (spec.interleaved ? 2 * i : i);
        const std::int64_t b = first + (spec.interleaved ? 2 * i + 1 : i + half);
        constexpr double kNowhere = std::numeric_limits<double>::quiet_NaN();
        const double c = table < 0 ? kNowhere : cos[table + i];
        const double s = table < 0 ? kNowhere : sin[table + i];
        const double left = x[a];
        const double right = x[b];
        y.set(a, left * c - right * s);
        y.set(b, right * c + left * s);
      }
      for (std::int64_t i = rotary; i < rows.dim; ++i) y.set(first + i, x[first + i]);
    };
    const std::int64_t count = rows.batch * rows.heads * rows.tokens;
    call.pool->parallel_for(count, 8, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t token = i % rows.tokens;
        const std::int64_t head = i / rows.tokens % rows.heads;
        const std::int64_t batch = i / rows.tokens / rows.heads;
        const std::int64_t first = batch * rows.heads * rows.tokens * rows.dim +
                                   head * rows.head_stride + token * rows.token_stride;
        rotate(first, table_row(call, batch, token, rows.tokens));
      }
    });
  };
}

}  // namespace tenon::kernels::cpu::attention
