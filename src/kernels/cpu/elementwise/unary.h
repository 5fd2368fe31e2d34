// Operators of one input, element by element.
#pragma once

#include "kernels/kernel.h"

namespace tenon::kernels::cpu {

/// `parameters` holds what attributes gave; loops read at most two.
struct UnaryLoops {
  void (*real)(const double* x, double* y, std::int64_t count, const float* parameters);
  void (*integer)(const std::int64_t* x, std::int64_t* y, std::int64_t count) = nullptr;
  void (*single)(const float* x, float* y, std::int64_t count, const float* parameters) = nullptr;
};

struct UnaryParameters {
  float values[2] = {0, 0};
};

/// y = f(x) in the type of y, which may be bool. float32 takes the `single` loop where there is
/// one.
BoundKernel bind_unary(const UnaryLoops& loops, UnaryParameters parameters);

}  // namespace tenon::kernels::cpu
