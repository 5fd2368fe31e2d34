// Pixels converted with AVX-512, and the depthwise product.
#include "kernels/cpu/convolution/convert_pixels.h"
#include "kernels/cpu/linear/kernels.h"
#include "kernels/cpu/linear/vector_avx512.h"

namespace tenon::kernels::cpu::convolution {
namespace {

struct Vectors512 {
  using Vector = linear::Vector512;

  static __m512 first(__m512 value, long count) {
    return _mm512_maskz_mov_ps(Vector::mask(count), value);
  }
  static void put_bf16(std::byte* to, long count, __m512 value) {
    _mm256_mask_storeu_epi16(to, Vector::mask(count), linear::to_bf16(value));
  }
  static void put_int8(std::byte* to, long count, __m512 scaled, std::int32_t zero) {
    const __m512i whole = _mm512_add_epi32(_mm512_cvtps_epi32(scaled), _mm512_set1_epi32(zero));
    _mm_mask_storeu_epi8(to, Vector::mask(count),
                         _mm512_cvtusepi32_epi8(_mm512_max_epi32(whole, _mm512_setzero_si512())));
  }
};

using Convert = Converter<Vectors512>;

const linear::ProductKernel kDepthwiseProduct = {4, nullptr, 1,
                                                 multiply_depthwise<linear::FloatSums512>};

}  // namespace

namespace avx512 {
const ConvKernel kFp32 = {&linear::kFp32Avx512, Convert::fp32, nullptr};
const ConvKernel kBf16 = {&linear::kBf16Avx512, Convert::bf16, nullptr};
const ConvKernel kInt8 = {&linear::kInt8Avx512, Convert::int8, Convert::range};
const ConvKernel kDepthwise = {&kDepthwiseProduct, Convert::fp32, nullptr, true};
const ConvKernel kBf16Pairs = {&linear::kBf16Avx512Bf16, Convert::bf16, nullptr};
const ConvKernel kBf16Amx = {&linear::kBf16Amx, Convert::bf16, nullptr};
const ConvKernel kInt8Amx = {&linear::kInt8Amx, Convert::int8, Convert::range};
}  // namespace avx512

}  // namespace tenon::kernels::cpu::convolution
