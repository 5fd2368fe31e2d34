// The activations in double, for reference rows.
#pragma once

#include <cmath>
#include <numbers>

#include "kernels/cpu/linear/operands.h"

namespace tenon::kernels::cpu::linear {

inline double activate(Activation activation, double x) {
  switch (activation) {
    case Activation::relu:
      return x < 0.0 ? 0.0 : x;
    case Activation::gelu:
      return 0.5 * x * std::erfc(-x / std::numbers::sqrt2);
    case Activation::gelu_tanh: {
      const double scale = std::sqrt(2.0 / std::numbers::pi);
      return 0.5 * x * (1.0 + std::tanh(scale * (x + 0.044715 * x * x * x)));
    }
    case Activation::silu:
      return x / (1.0 + std::exp(-x));
    case Activation::none:
      break;
  }
  return x;
}

}  // namespace tenon::kernels::cpu::linear
