// Pairs of bfloat16 in AVX512_BF16 registers, for the files compiled for it, each with its own
// copy.
#pragma once

#include "kernels/cpu/linear/vector_avx512.h"

namespace tenon::kernels::cpu::linear {
namespace {

struct Bf16Pairs : FloatSums512 {
  using Weight = __m512i;
  using Input = __m512i;
  using Stored = std::uint16_t;
  static constexpr int kMaxRows = 6;
  static constexpr int kStreams = 4;
  static Weight load_weight(const char* from) { return _mm512_load_si512(from); }
  static Input load_input(const char* from) {
    return _mm512_set1_epi32(*reinterpret_cast<const int*>(from));
  }
  static Sum dot(Sum sum, Input input, Weight weight) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(input),
                            reinterpret_cast<__m512bh>(weight));
  }
};

}  // namespace
}  // namespace tenon::kernels::cpu::linear
