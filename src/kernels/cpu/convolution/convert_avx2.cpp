// Pixels converted with AVX2, and the depthwise product.
#include "kernels/cpu/convolution/convert_pixels.h"
#include "kernels/cpu/linear/kernels.h"
#include "kernels/cpu/linear/vector_avx2.h"

namespace tenon::kernels::cpu::convolution {
namespace {

// The first `bytes` of 16, at most all.
void put(std::byte* to, long bytes, __m128i value) {
  if (bytes >= 16) return _mm_storeu_si128(reinterpret_cast<__m128i*>(to), value);
  std::byte all[16];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(all), value);
  __builtin_memcpy(to, all, static_cast<std::size_t>(bytes));
}

struct Vectors256 {
  using Vector = linear::Vector256;

  static __m256 first(__m256 value, long count) {
    return _mm256_and_ps(value, _mm256_castsi256_ps(Vector::mask(count)));
  }
  static void put_bf16(std::byte* to, long count, __m256 value) {
    put(to, count * 2, linear::narrow_words(linear::to_bf16(value)));
  }
  static void put_int8(std::byte* to, long count, __m256 scaled, std::int32_t zero) {
    const __m256i whole = _mm256_add_epi32(_mm256_cvtps_epi32(scaled), _mm256_set1_epi32(zero));
    const __m128i words = linear::narrow_words(_mm256_max_epi32(whole, _mm256_setzero_si256()));
    put(to, count < 8 ? count : 8,
        _mm_packus_epi16(_mm_min_epu16(words, _mm_set1_epi16(255)), words));
  }
};

struct FloatSums {
  using Vector = linear::Vector256;
  static __m256 result(const char* sums, const linear::Product&, long, long) {
    return _mm256_load_ps(reinterpret_cast<const float*>(sums));
  }
};

using Convert = Converter<Vectors256>;

const linear::ProductKernel kDepthwiseProduct = {4, nullptr, 1, multiply_depthwise<FloatSums>};

}  // namespace

namespace avx2 {
const ConvKernel kFp32 = {&linear::kFp32Avx2, Convert::fp32, nullptr};
const ConvKernel kBf16 = {&linear::kBf16Avx2, Convert::bf16, nullptr};
const ConvKernel kInt8 = {&linear::kInt8Avx2, Convert::int8, Convert::range};
const ConvKernel kDepthwise = {&kDepthwiseProduct, Convert::fp32, nullptr, true};
}  // namespace avx2

}  // namespace tenon::kernels::cpu::convolution
