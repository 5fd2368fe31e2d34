// tenon.Attention in AVX2, float32 throughout.
#include "kernels/cpu/attention/flash_loop.h"
#include "kernels/cpu/attention/vectors256.h"

namespace tenon::kernels::cpu::attention {
namespace {

struct FloatWords256 : Vectors256 {
  using Words = __m256;
  using Weight = Reg;
  static constexpr int kStep = 1;
  static constexpr int kMaxRows = 6;
  static constexpr int kMaxVectors = 2;

  static void begin() {}
  static void end() {}
  static long used_words(const FlashWork& work) { return work.dim; }
  static long round_words(long words) { return words; }

  static __m256i first_lanes(long count) {
    const int bound = count < 0 ? 0 : count > kLanes ? kLanes : static_cast<int>(count);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(bound), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static Reg read_first(const float* p, long count) {
    return count >= kLanes ? read(p) : _mm256_maskload_ps(p, first_lanes(count));
  }
  static void store_first(float* p, Reg x, long count) {
    _mm256_maskstore_ps(p, first_lanes(count), x);
  }
  static void store_words(std::byte* p, Words x) { store(reinterpret_cast<float*>(p), x); }
  static Words load_words(const float* row, long left, float factor) {
    return _mm256_mul_ps(read_first(row, left), set(factor));
  }
  static Words load_pairs(const float* row, const float*, long left, long) {
    return read_first(row, left);
  }
  static Weight load_weight(const char* p) { return read(reinterpret_cast<const float*>(p)); }
  static Reg load_input(const char* p) {
    return _mm256_broadcast_ss(reinterpret_cast<const float*>(p));
  }
  static Reg dot(Reg sum, Reg input, Weight weight) { return _mm256_fmadd_ps(weight, input, sum); }
  static void narrow(const Reg* weights, float* to) { store(to, weights[0]); }
  /// Also where either is not a number.
  static bool any_above(Reg a, Reg b) {
    return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_NLE_UQ)) != 0;
  }

  /// Word j of row i becomes word i of row j.
  static void transpose(Words* rows) {
    Words a[8];
    for (int i = 0; i < 8; i += 2) {
      a[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
      a[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
    Words b[8];
    for (int i = 0; i < 8; i += 4) {
      b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
      b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
      b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
      b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    for (int c = 0; c < 4; ++c) {
      rows[c] = _mm256_permute2f128_ps(b[c], b[4 + c], 0x20);
      rows[4 + c] = _mm256_permute2f128_ps(b[c], b[4 + c], 0x31);
    }
  }
};

}  // namespace

namespace avx2 {
const FlashKernel kFloatFlash = FlashLoop<FloatWords256>::kernel(24);
}

}  // namespace tenon::kernels::cpu::attention
