// Words of 512-bit vectors for the loops of tenon.Attention; for the AVX-512 files alone, each with
// its own copy.
#pragma once

#include "kernels/cpu/attention/flash_loop.h"
#include "kernels/cpu/attention/vectors512.h"

namespace tenon::kernels::cpu::attention {
namespace {

struct FlashVectors512 : Vectors512 {
  using Words = __m512i;
  static constexpr int kMaxRows = 6;
  static constexpr int kMaxVectors = 4;

  static void begin() {}
  static void end() {}
  static __mmask16 first_lanes(long count) {
    if (count <= 0) return 0;
    return count >= 16 ? static_cast<__mmask16>(0xffff)
                       : static_cast<__mmask16>((1U << count) - 1U);
  }
  static Reg read_first(const float* p, long count) {
    return _mm512_maskz_loadu_ps(first_lanes(count), p);
  }
  static void store_first(float* p, Reg x, long count) {
    _mm512_mask_storeu_ps(p, first_lanes(count), x);
  }
  static void store_words(std::byte* p, Words x) { _mm512_storeu_si512(p, x); }
  /// Also where either is not a number.
  static bool any_above(Reg a, Reg b) { return _mm512_cmp_ps_mask(a, b, _CMP_NLE_UQ) != 0; }

  /// Word j of row i becomes word i of row j.
  static void transpose(Words* rows) {
    Words a[16];
    for (int i = 0; i < 16; i += 2) {
      a[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
      a[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    Words b[16];
    for (int i = 0; i < 16; i += 4) {
      b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
      b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
      b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
      b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    // b[4 q + c] has, in its four lanes l, words 4 l + c of rows 4 q .. 4 q + 3.
    for (int c = 0; c < 4; ++c) {
      const Words low01 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0x44);
      const Words high01 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0xee);
      const Words low23 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0x44);
      const Words high23 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0xee);
      rows[c] = _mm512_shuffle_i32x4(low01, low23, 0x88);
      rows[4 + c] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
      rows[8 + c] = _mm512_shuffle_i32x4(high01, high23, 0x88);
      rows[12 + c] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
    }
  }
};

}  // namespace
}  // namespace tenon::kernels::cpu::attention
