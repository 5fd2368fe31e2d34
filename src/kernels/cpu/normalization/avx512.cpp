// Normalizations in AVX-512.
#include <immintrin.h>

#include "kernels/cpu/normalization/rows.h"

namespace tenon::kernels::cpu::normalization {
namespace {

struct Vectors {
  using Wide = __m512d;
  static constexpr int kLanes = 8;

  static Wide set(double x) { return _mm512_set1_pd(x); }
  static Wide widen(const float* p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
  static void narrow(float* p, Wide x) { _mm256_storeu_ps(p, _mm512_cvtpd_ps(x)); }
  static Wide add(Wide a, Wide b) { return _mm512_add_pd(a, b); }
  static Wide subtract(Wide a, Wide b) { return _mm512_sub_pd(a, b); }
  static Wide multiply(Wide a, Wide b) { return _mm512_mul_pd(a, b); }
  static Wide fma(Wide a, Wide b, Wide c) { return _mm512_fmadd_pd(a, b, c); }
  static double total(Wide a) { return _mm512_reduce_add_pd(a); }
};

}  // namespace

namespace avx512 {
const NormRows kRows = Rows<Vectors>::kRows;
}

}  // namespace tenon::kernels::cpu::normalization
