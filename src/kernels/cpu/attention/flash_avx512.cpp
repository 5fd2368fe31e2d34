// tenon.Attention in AVX-512, float32 throughout.
#include "kernels/cpu/attention/flash_vectors512.h"

namespace tenon::kernels::cpu::attention {
namespace {

struct FloatWords512 : FlashVectors512 {
  using Weight = Reg;
  static constexpr int kStep = 1;

  static long used_words(const FlashWork& work) { return work.dim; }
  static long round_words(long words) { return words; }
  static Words load_words(const float* row, long left, float factor) {
    return _mm512_castps_si512(_mm512_mul_ps(read_first(row, left), set(factor)));
  }
  static Words load_pairs(const float* row, const float*, long left, long) {
    return _mm512_castps_si512(read_first(row, left));
  }
  static Weight load_weight(const char* p) { return _mm512_loadu_ps(p); }
  static Reg load_input(const char* p) { return set(*reinterpret_cast<const float*>(p)); }
  static Reg dot(Reg sum, Reg input, Weight weight) { return _mm512_fmadd_ps(weight, input, sum); }
  static void narrow(const Reg* weights, float* to) { store(to, weights[0]); }
};

}  // namespace

namespace avx512 {
const FlashKernel kFloatFlash = FlashLoop<FloatWords512>::kernel(24);
}

}  // namespace tenon::kernels::cpu::attention
