// The activations, written once over an instruction set's vectors. Everything is in an unnamed
// namespace: each file that includes this gets its own copy, compiled for its own instructions.
#pragma once

#include "kernels/cpu/activation/fast.h"

namespace tenon::kernels::cpu::activation {
namespace {

/// S supplies Reg, kLanes and arithmetic; S::scale(p, n) is p * 2^n with gradual underflow.
template <typename S>
struct Functions {
  using Reg = typename S::Reg;

  /// exp(z + rest) for z <= 0 and a rest below an ulp of z; 0 for z = -inf.
  static Reg exp_negative(Reg z, Reg rest) {
    // Below -104 the result is zero; NaN must come through, so it stands second.
    z = S::max(S::set(-110.0F), z);
    const Reg n = S::round(S::multiply(z, S::set(1.44269504F)));
    // ln 2 in two parts: the first has few enough bits for n times it to be exact.
    Reg r = S::fma(n, S::set(-0.693359375F), z);
    r = S::fma(n, S::set(2.12194440e-4F), r);
    r = S::add(r, rest);
    Reg p = S::set(0.00138368423F);
    p = S::fma(p, r, S::set(0.00837481602F));
    p = S::fma(p, r, S::set(0.0416682256F));
    p = S::fma(p, r, S::set(0.166664202F));
    p = S::fma(p, r, S::set(0.499999921F));
    // 1 + (r + r^2 p): the small terms first.
    p = S::fma(S::multiply(r, r), p, r);
    return S::scale(S::add(p, S::set(1.0F)), n);
  }

  static Reg sigmoid(Reg z) {
    const Reg e = exp_negative(S::negate(S::absolute(z)), S::set(0.0F));
    const Reg top = S::select_negative(z, e, S::set(1.0F));
    return S::divide(top, S::add(e, S::set(1.0F)));
  }

  static Reg swish(Reg x, Reg alpha) { return S::multiply(x, sigmoid(S::multiply(alpha, x))); }

  /// 0.5 (1 + tanh(u)) = sigmoid(2 u), 2 u = sqrt(8 / pi) (x + 0.044715 x^3).
  static Reg gelu_tanh(Reg x) {
    const Reg cubic = S::fma(S::multiply(x, x), S::set(0.0713548163F), S::set(1.59576912F));
    return S::multiply(x, sigmoid(S::multiply(x, cubic)));
  }

  /// Phi(-a) = exp(-a^2 / 2) M(a) for a = |x|; M, Mills' ratio over sqrt(2 pi), is smooth: M(a)
  /// (1 + a / 3.5) is a polynomial in y = (a - 3.5) / (a + 3.5) to a relative 7.4e-9 for a <= 14.6.
  static Reg gelu(Reg x) {
    const Reg a = S::min(S::set(14.6F), S::absolute(x));
    const Reg square = S::multiply(a, a);
    const Reg lost = S::fma(a, a, S::negate(square));
    const Reg e =
        exp_negative(S::multiply(square, S::set(-0.5F)), S::multiply(lost, S::set(-0.5F)));
    const Reg t = S::divide(S::set(1.0F), S::add(a, S::set(3.5F)));
    const Reg y = S::multiply(S::subtract(a, S::set(3.5F)), t);
    Reg p = S::set(kMills[9]);
    for (int i = 8; i >= 0; --i) p = S::fma(p, y, S::set(kMills[i]));
    const Reg tail = S::multiply(e, S::multiply(p, t));
    const Reg phi = S::select_negative(x, tail, S::subtract(S::set(1.0F), tail));
    return S::multiply(x, phi);
  }

  static constexpr float kMills[10] = {
      0.744416074F,   -0.565561744F,   0.315425057F,     -0.116053069F,  0.0174062688F,
      0.00649324616F, -0.00317481286F, -0.000494978237F, 0.00042116701F, 0.000110285711F};

  /// y = function(x), vector by vector.
  template <typename Function>
  static void map(const float* x, float* y, std::int64_t count, Function function) {
    std::int64_t i = 0;
    for (; i + S::kLanes <= count; i += S::kLanes) S::store(y + i, function(S::read(x + i)));
    if (i == count) return;
    float last[S::kLanes] = {};
    for (std::int64_t j = i; j < count; ++j) last[j - i] = x[j];
    S::store(last, function(S::read(last)));
    for (std::int64_t j = i; j < count; ++j) y[j] = last[j - i];
  }

  static void run_gelu(const float* x, float* y, std::int64_t count) { map(x, y, count, gelu); }
  static void run_gelu_tanh(const float* x, float* y, std::int64_t count) {
    map(x, y, count, gelu_tanh);
  }
  static void run_swish(const float* x, float alpha, float* y, std::int64_t count) {
    const Reg factor = S::set(alpha);
    map(x, y, count, [factor](Reg value) { return swish(value, factor); });
  }
  /// y = function(x) * factors, vector by vector.
  template <typename Function>
  static void map_product(const float* x, const float* factors, float* y, std::int64_t count,
                          Function function) {
    std::int64_t i = 0;
    for (; i + S::kLanes <= count; i += S::kLanes) {
      S::store(y + i, S::multiply(function(S::read(x + i)), S::read(factors + i)));
    }
    float last[S::kLanes] = {};
    for (std::int64_t j = i; j < count; ++j) last[j - i] = x[j];
    S::store(last, function(S::read(last)));
    for (std::int64_t j = i; j < count; ++j) y[j] = last[j - i] * factors[j];
  }

  static void run_swiglu(const float* gate, const float* up, float* y, std::int64_t count) {
    const Reg one = S::set(1.0F);
    map_product(gate, up, y, count, [one](Reg value) { return swish(value, one); });
  }
  static void run_geglu(const float* gate, const float* up, float* y, std::int64_t count) {
    map_product(gate, up, y, count, gelu);
  }

  static constexpr ActivationRuns kRuns = {run_gelu, run_gelu_tanh, run_swish, run_swiglu,
                                           run_geglu};
};

}  // namespace
}  // namespace tenon::kernels::cpu::activation
