#include "kernels/cpu/attention/plain_spec.h"

#include <string>

namespace tenon::kernels::cpu::attention {
namespace {

constexpr std::int64_t kMaxHeads = 1 << 16;
constexpr std::int64_t kMaxWidth = std::int64_t{1} << 40;

bool within(std::int64_t value, std::int64_t low, std::int64_t high) {
  return low <= value && value <= high;
}

bool float_operands(const StepDescription& step) {
  if (!within(static_cast<std::int64_t>(step.inputs.size()), 3, 4) || step.outputs.size() != 1 ||
      !is_float(step.outputs[0].dtype)) {
    return false;
  }
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& operand = step.inputs[i];
    if (!operand.present || !is_float(operand.dtype) || !operand.format.empty()) return false;
    if (operand.shape.size() != step.inputs[0].shape.size()) return false;
  }
  if (step.inputs.size() < 4 || !step.inputs[3].present) return true;
  const auto& mask = step.inputs[3];
  return mask.shape.size() <= 4 && (is_float(mask.dtype) || mask.dtype == DType::boolean);
}

bool heads_divide(std::int64_t q_heads, std::int64_t kv_heads) {
  return within(q_heads, 1, kMaxHeads) && within(kv_heads, 1, q_heads) && q_heads % kv_heads == 0;
}

std::optional<PlainSpec::Heads> heads_of(const StepDescription& step, std::size_t input,
                                         std::int64_t heads, std::int64_t head_dim,
                                         const std::string& letter) {
  const std::int64_t width = step.inputs[input].shape.back();
  const PlainSpec::Heads found{step.attributes->get_int(letter + "_offset", 0),
                               step.attributes->get_int(letter + "_head_stride", head_dim)};
  if (!within(width, 1, kMaxWidth) || !within(found.offset, 0, kMaxWidth) ||
      !within(found.stride, 0, kMaxWidth / heads)) {
    return std::nullopt;
  }
  if (found.offset + (heads - 1) * found.stride + head_dim > width) return std::nullopt;
  return found;
}

HeadPlaces rank_four(const Shape& shape) {
  return {0, shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3]};
}

HeadPlaces rank_three(const Shape& shape, const PlainSpec::Heads& heads) {
  return {heads.offset, shape[1] * shape[2], heads.stride, shape[2]};
}

}  // namespace

std::optional<PlainSpec> parse_plain(const StepDescription& step) {
  if (!float_operands(step)) return std::nullopt;
  const Attributes& attributes = *step.attributes;
  PlainSpec spec;
  spec.scale = attributes.get_float("scale", 1.0F);
  spec.causal = attributes.get_int("is_causal", 0) != 0;
  const std::string precision = attributes.get_string("precision", "fp32");
  if (precision != "fp32" && precision != "bf16") return std::nullopt;
  spec.may_narrow = precision == "bf16";
  if (step.inputs[0].shape.size() == 4) {
    const Shape& q = step.inputs[0].shape;
    if (q[3] < 1 || step.inputs[2].shape[3] < 1 || !heads_divide(q[1], step.inputs[1].shape[1]))
      return std::nullopt;
    return spec;
  }
  if (step.inputs[0].shape.size() != 3) return std::nullopt;
  spec.token_major = true;
  spec.q_heads = attributes.get_int("q_heads", 0);
  spec.kv_heads = attributes.get_int("kv_heads", 0);
  spec.head_dim = attributes.get_int("head_dim", 0);
  if (!heads_divide(spec.q_heads, spec.kv_heads) || !within(spec.head_dim, 1, kMaxWidth))
    return std::nullopt;
  const auto q = heads_of(step, 0, spec.q_heads, spec.head_dim, "q");
  const auto k = heads_of(step, 1, spec.kv_heads, spec.head_dim, "k");
  const auto v = heads_of(step, 2, spec.kv_heads, spec.head_dim, "v");
  const auto& out = step.outputs[0];
  if (!q || !k || !v || out.shape.size() != 3 || out.shape[2] != spec.q_heads * spec.head_dim)
    return std::nullopt;
  spec.q = *q;
  spec.k = *k;
  spec.v = *v;
  return spec;
}

PlainSizes plain_sizes(const PlainSpec& spec, const Shape& q, const Shape& k, const Shape& v) {
  if (!spec.token_major) {
    const HeadPlaces out{0, q[1] * q[2] * v[3], q[2] * v[3], v[3]};
    return {q[0], q[1],         k[1],         q[2],         k[2], q[3],
            v[3], rank_four(q), rank_four(k), rank_four(v), out};
  }
  const std::int64_t width = spec.q_heads * spec.head_dim;
  return {q[0],
          spec.q_heads,
          spec.kv_heads,
          q[1],
          k[1],
          spec.head_dim,
          spec.head_dim,
          rank_three(q, spec.q),
          rank_three(k, spec.k),
          rank_three(v, spec.v),
          {0, q[1] * width, spec.head_dim, width}};
}

}  // namespace tenon::kernels::cpu::attention
