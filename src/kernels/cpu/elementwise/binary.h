// Operators of two inputs that broadcast against each other, element by element.
#pragma once

#include "kernels/kernel.h"

namespace tenon::kernels::cpu {

struct BinaryLoops {
  void (*real)(const double* a, const double* b, double* y, std::int64_t count);
  void (*integer)(const std::int64_t* a, const std::int64_t* b, std::int64_t* y,
                  std::int64_t count);
  /// The same in float32; a stride is 0 or 1. nullptr where only double gives the right rounding.
  void (*single)(const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride,
                 float* y, std::int64_t count);
};

/// y = f(a, b) in the type of y, which may be bool. Computes in double when an input is floating,
/// else in int64.
void run_binary(const Invocation& call, const BinaryLoops& loops);

}  // namespace tenon::kernels::cpu
