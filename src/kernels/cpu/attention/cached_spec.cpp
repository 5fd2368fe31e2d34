#include "kernels/cpu/attention/cached_spec.h"

#include <cmath>

namespace tenon::kernels::cpu::attention {
namespace {

constexpr std::int64_t kMaxHeads = 1 << 16;
constexpr std::int64_t kMaxHeadDim = 1 << 16;
constexpr std::int64_t kMaxWidth = std::int64_t{1} << 40;

bool within(std::int64_t value, std::int64_t low, std::int64_t high) {
  return low <= value && value <= high;
}

std::optional<CachedSpec::Heads> heads_of(const StepDescription& step, std::size_t input,
                                          std::int64_t heads, std::int64_t head_dim,
                                          std::string_view letter) {
  const auto& operand = step.inputs[input];
  if (operand.dtype != DType::f32 || operand.shape.empty()) return std::nullopt;
  const std::string prefix(letter);
  CachedSpec::Heads found;
  found.width = operand.shape.back();
  found.offset = step.attributes->get_int(prefix + "_offset", 0);
  found.stride = step.attributes->get_int(prefix + "_head_stride", head_dim);
  if (!within(found.width, 1, kMaxWidth) || !within(found.offset, 0, kMaxWidth) ||
      !within(found.stride, 0, kMaxWidth / heads)) {
    return std::nullopt;
  }
  if (found.at(0, heads - 1) + head_dim > found.width) return std::nullopt;
  return found;
}

bool rotation_fits(const StepDescription& step, const CachedSpec& spec) {
  if (spec.rotary_dim == 0) return true;
  if (!within(spec.rotary_dim, 2, spec.head_dim) || spec.rotary_dim % 2 != 0) return false;
  if (step.inputs.size() < 5) return false;
  for (const std::size_t i : {std::size_t{3}, std::size_t{4}}) {
    const auto& table = step.inputs[i];
    if (!table.present || table.dtype != DType::f32 || table.shape.empty()) return false;
    if (table.shape.back() != spec.rotary_dim / 2) return false;
  }
  return true;
}

}  // namespace

std::optional<CachedSpec> parse_cached(const StepDescription& step) {
  if (step.inputs.size() < 3 || step.outputs.size() != 1) return std::nullopt;
  const Attributes& attributes = *step.attributes;
  CachedSpec spec;
  spec.layer = attributes.get_int("layer", -1);
  spec.q_heads = attributes.get_int("q_heads", 0);
  spec.kv_heads = attributes.get_int("kv_heads", 0);
  spec.head_dim = attributes.get_int("head_dim", 0);
  spec.rotary_dim = attributes.get_int("rotary_dim", 0);
  spec.interleaved = attributes.get_int("interleaved", 0) != 0;
  if (spec.layer < 0 || !within(spec.q_heads, 1, kMaxHeads) ||
      !within(spec.kv_heads, 1, spec.q_heads) || spec.q_heads % spec.kv_heads != 0 ||
      !within(spec.head_dim, 1, kMaxHeadDim)) {
    return std::nullopt;
  }
  spec.scale = attributes.get_float("scale", 1.0F / std::sqrt(static_cast<float>(spec.head_dim)));

  const std::string cache = attributes.get_string("cache_dtype", "fp32");
  if (cache != "fp32" && cache != "bf16") return std::nullopt;
  spec.cache = cache == "bf16" ? DType::bf16 : DType::f32;

  const auto q = heads_of(step, 0, spec.q_heads, spec.head_dim, "q");
  const auto k = heads_of(step, 1, spec.kv_heads, spec.head_dim, "k");
  const auto v = heads_of(step, 2, spec.kv_heads, spec.head_dim, "v");
  if (!q || !k || !v || !rotation_fits(step, spec)) return std::nullopt;
  spec.q = *q;
  spec.k = *k;
  spec.v = *v;

  const auto& out = step.outputs[0];
  if (out.dtype != DType::f32 || out.shape.empty() ||
      out.shape.back() != spec.q_heads * spec.head_dim) {
    return std::nullopt;
  }
  return spec;
}

}  // namespace tenon::kernels::cpu::attention
