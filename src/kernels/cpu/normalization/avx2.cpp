// Normalizations in AVX2.
#include <immintrin.h>

#include "kernels/cpu/normalization/rows.h"

namespace tenon::kernels::cpu::normalization {
namespace {

struct Vectors {
  using Wide = __m256d;
  static constexpr int kLanes = 4;

  static Wide set(double x) { return _mm256_set1_pd(x); }
  static Wide widen(const float* p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
  static void narrow(float* p, Wide x) { _mm_storeu_ps(p, _mm256_cvtpd_ps(x)); }
  static Wide add(Wide a, Wide b) { return _mm256_add_pd(a, b); }
  static Wide subtract(Wide a, Wide b) { return _mm256_sub_pd(a, b); }
  static Wide multiply(Wide a, Wide b) { return _mm256_mul_pd(a, b); }
  static Wide fma(Wide a, Wide b, Wide c) { return _mm256_fmadd_pd(a, b, c); }
  static double total(Wide a) {
    const __m128d pair = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(pair, _mm_unpackhi_pd(pair, pair)));
  }
};

}  // namespace

namespace avx2 {
const NormRows kRows = Rows<Vectors>::kRows;
}

}  // namespace tenon::kernels::cpu::normalization
