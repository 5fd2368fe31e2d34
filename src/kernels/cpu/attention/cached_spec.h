// What a tenon.CachedAttention step asks for, read from its description.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/kernel.h"

namespace tenon::kernels::cpu::attention {

struct CachedSpec {
  /// Where the heads of one operand lie: head h of row r begins at r * width + offset + h * stride.
  struct Heads {
    std::int64_t width = 0;
    std::int64_t offset = 0;
    std::int64_t stride = 0;
    std::int64_t at(std::int64_t row, std::int64_t head) const {
      return row * width + offset + head * stride;
    }
  };
  std::int64_t layer = 0;
  std::int64_t q_heads = 1;
  std::int64_t kv_heads = 1;
  std::int64_t head_dim = 1;
  std::int64_t rotary_dim = 0;  ///< even; 0 for none
  bool interleaved = false;     ///< pairs are neighbours, else i and i + rotary_dim / 2
  float scale = 1.0F;
  Heads q, k, v;
  DType cache = DType::f32;  ///< f32 or bf16

  std::int64_t group() const { return q_heads / kv_heads; }
};

/// nullopt when an attribute is missing or contradicts another, or a head would lie outside its
/// operand: the last dimensions of q, k, v and the output must be known.
std::optional<CachedSpec> parse_cached(const StepDescription& step);

}  // namespace tenon::kernels::cpu::attention
