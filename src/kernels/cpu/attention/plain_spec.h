// What a tenon.Attention step asks for, and where the heads of its operands lie.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "kernels/kernel.h"

namespace tenon::kernels::cpu::attention {

/// Head h of token t of batch entry b begins at element offset + b * batch + h * head + t * token.
struct HeadPlaces {
  std::int64_t offset = 0, batch = 0, head = 0, token = 0;
  std::int64_t at(std::int64_t b, std::int64_t h, std::int64_t t) const {
    return offset + b * batch + h * head + t * token;
  }
};

struct PlainSpec {
  struct Heads {
    std::int64_t offset = 0;
    std::int64_t stride = 0;
  };
  bool token_major = false;  ///< rank 3; else [batch, heads, tokens, dim]
  std::int64_t q_heads = 0, kv_heads = 0, head_dim = 0;  ///< of rank 3
  Heads q, k, v;                                         ///< of rank 3
  float scale = 1.0F;
  bool causal = false;      ///< query s sees the keys 0 .. s
  bool may_narrow = false;  ///< queries, keys, values and weights may be rounded to bfloat16
};

/// The sizes of one call. Without tokens, heads or batch nothing is computed.
struct PlainSizes {
  std::int64_t batch, q_heads, kv_heads, queries, keys, dim, value_dim;
  HeadPlaces q, k, v, out;
};

/// nullopt when types, ranks or attributes do not fit each other; a last dimension and, in rank 4,
/// the numbers of heads must be known. All of q, k, v and the output are floating.
std::optional<PlainSpec> parse_plain(const StepDescription& step);

PlainSizes plain_sizes(const PlainSpec& spec, const Shape& q, const Shape& k, const Shape& v);

}  // namespace tenon::kernels::cpu::attention
