// Float arithmetic of 512-bit vectors for the tile loops; for the AVX-512 files alone, each with
// its own copy.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/attention/tile_loop.h"

namespace tenon::kernels::cpu::attention {
namespace {

struct Vectors512 {
  using Reg = __m512;
  static constexpr int kLanes = 16;
  static constexpr int kPages(int) { return kBlockPages; }
  static constexpr int kVectors(int) { return 4; }

  static Reg zero() { return _mm512_setzero_ps(); }
  static Reg set(float x) { return _mm512_set1_ps(x); }
  static Reg read(const float* p) { return _mm512_loadu_ps(p); }
  static void store(float* p, Reg x) { _mm512_storeu_ps(p, x); }
  static Reg add(Reg a, Reg b) { return _mm512_add_ps(a, b); }
  static Reg subtract(Reg a, Reg b) { return _mm512_sub_ps(a, b); }
  static Reg multiply(Reg a, Reg b) { return _mm512_mul_ps(a, b); }
  static Reg max(Reg a, Reg b) { return _mm512_max_ps(a, b); }
  static float first(Reg a) { return _mm512_cvtss_f32(a); }
  static float total(Reg a) { return _mm512_reduce_add_ps(a); }
  static float highest(Reg a) { return _mm512_reduce_max_ps(a); }

  /// Lanes from `count` on become -inf.
  static Reg keep_first(Reg a, std::int64_t count) {
    const auto mask = count <= 0    ? __mmask16{0}
                      : count >= 16 ? static_cast<__mmask16>(0xffff)
                                    : static_cast<__mmask16>((1U << count) - 1U);
    return _mm512_mask_blend_ps(mask, set(kLowest), a);
  }

  /// 2^x for x <= 0: relative error below 2^-23; zero below 2^-126; NaN stays.
  static Reg power_of_two(Reg x) {
    const __mmask16 keep = _mm512_cmp_ps_mask(x, set(-126.0F), _CMP_NLT_UQ);
    const Reg whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const Reg rest = _mm512_sub_ps(x, whole);
    Reg p = set(0.000153458079F);
    p = _mm512_fmadd_ps(p, rest, set(0.00133999316F));
    p = _mm512_fmadd_ps(p, rest, set(0.00961848898F));
    p = _mm512_fmadd_ps(p, rest, set(0.0555032878F));
    p = _mm512_fmadd_ps(p, rest, set(0.240226469F));
    p = _mm512_fmadd_ps(p, rest, set(0.693147206F));
    p = _mm512_fmadd_ps(p, rest, set(1.0F));
    return _mm512_maskz_scalef_ps(keep, p, whole);
  }
};

}  // namespace
}  // namespace tenon::kernels::cpu::attention
