// The products that the instruction sets provide, one for each packed format they take.
#pragma once

#include "kernels/cpu/linear/product.h"

namespace tenon::kernels::cpu::linear {

extern const ProductKernel kFp32Avx2;
extern const ProductKernel kBf16Avx2;
extern const ProductKernel kInt8Avx2;
extern const ProductKernel kFp32Avx512;
extern const ProductKernel kBf16Avx512;
extern const ProductKernel kInt8Avx512;
extern const ProductKernel kBf16Avx512Bf16;
extern const ProductKernel kBf16Amx;
extern const ProductKernel kInt8Amx;

}  // namespace tenon::kernels::cpu::linear
