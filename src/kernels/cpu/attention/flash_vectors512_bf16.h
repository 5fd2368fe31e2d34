// Pairs of bfloat16 in 512-bit vectors for the loops of tenon.Attention; for the files compiled for
// AVX512_BF16 alone, each with its own copy.
#pragma once

#include "kernels/cpu/attention/flash_vectors512.h"

namespace tenon::kernels::cpu::attention {
namespace {

struct PairWords512 : FlashVectors512 {
  using Weight = __m512bh;
  static constexpr int kStep = 2;

  static long used_words(const FlashWork& work) { return (work.dim + 1) / 2; }
  static long round_words(long words) { return words; }

  /// 2^x for x <= 8 that is rounded to bfloat16 next: relative error below 2^-18; zero below
  /// 2^-126; NaN stays.
  static Reg power_of_two(Reg x) {
    const __mmask16 keep = _mm512_cmp_ps_mask(x, set(-126.0F), _CMP_NLT_UQ);
    const Reg whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const Reg rest = _mm512_sub_ps(x, whole);
    Reg p = set(0.00958285294F);
    p = _mm512_fmadd_ps(p, rest, set(0.0559064262F));
    p = _mm512_fmadd_ps(p, rest, set(0.240240991F));
    p = _mm512_fmadd_ps(p, rest, set(0.693124175F));
    p = _mm512_fmadd_ps(p, rest, set(1.0F));
    return _mm512_maskz_scalef_ps(keep, p, whole);
  }

  static Words words(__m512bh pairs) { return reinterpret_cast<__m512i>(pairs); }
  static Words load_words(const float* row, long left, float factor) {
    const Reg scale = set(factor);
    return words(_mm512_cvtne2ps_pbh(_mm512_mul_ps(read_first(row + 16, left - 16), scale),
                                     _mm512_mul_ps(read_first(row, left), scale)));
  }
  static Words load_pairs(const float* row, const float* next, long left, long left_next) {
    const Words apart =
        words(_mm512_cvtne2ps_pbh(read_first(next, left_next), read_first(row, left)));
    alignas(64) static constexpr std::uint16_t kOrder[32] = {
        0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_load_si512(kOrder), apart);
  }
  static Weight load_weight(const char* p) {
    return reinterpret_cast<__m512bh>(_mm512_loadu_si512(p));
  }
  static __m512i load_input(const char* p) {
    return _mm512_set1_epi32(*reinterpret_cast<const int*>(p));
  }
  static Reg dot(Reg sum, __m512i input, Weight weight) {
    return _mm512_dpbf16_ps(sum, weight, reinterpret_cast<__m512bh>(input));
  }
  static void narrow(const Reg* weights, float* to) {
    store(to, reinterpret_cast<__m512>(_mm512_cvtne2ps_pbh(weights[1], weights[0])));
  }
};

}  // namespace
}  // namespace tenon::kernels::cpu::attention
