// Activations on SIMD registers. Included by files compiled for an instruction set: everything is a
// template over a type of that file's own, so nothing is shared with other files.
//
// V gives: T, set(float), add, sub, mul, div, fma(a, b, c) = a*b + c, max(a, b) and min(a, b) that
// return b when either is NaN, abs, round (to nearest), scale(x, n) = x * 2^n for -126 <= n <= 127.
//
// Errors against the exact function, over all normal x: relu exact; silu and gelu_tanh at most
// 1.3e-7 * |x|, gelu at most 2e-7 * |x|. NaN gives NaN.
#pragma once

namespace tenon::kernels::cpu::linear {

template <typename V>
struct VectorActivation {
  using T = typename V::T;

  /// Relative error at most 2.5e-7 for -87 <= x <= 88; beyond, the value at the bound.
  static inline T exp(T x) {
    x = V::min(V::set(88.0F), V::max(V::set(-87.0F), x));
    const T n = V::round(V::mul(x, V::set(1.44269504F)));
    T r = V::fma(n, V::set(-0.693359375F), x);  // ln 2 in two parts: the first has 10 bits
    r = V::fma(n, V::set(2.12194440e-4F), r);
    T p = V::set(1.0F / 720.0F);
    p = V::fma(p, r, V::set(1.0F / 120.0F));
    p = V::fma(p, r, V::set(1.0F / 24.0F));
    p = V::fma(p, r, V::set(1.0F / 6.0F));
    p = V::fma(p, r, V::set(0.5F));
    p = V::fma(p, r, V::set(1.0F));
    p = V::fma(p, r, V::set(1.0F));
    return V::scale(p, n);
  }

  /// x / (1 + exp(-slope))
  static inline T gated(T x, T slope) {
    return V::div(x, V::add(V::set(1.0F), exp(V::sub(V::set(0.0F), slope))));
  }

  static inline T relu(T x) { return V::max(V::set(0.0F), x); }

  static inline T silu(T x) { return gated(x, x); }

  // (1 + tanh u) / 2 = 1 / (1 + exp(-2u)), u = sqrt(2 / pi) (x + 0.044715 x^3)
  static inline T gelu_tanh(T x) {
    const T cubic = V::fma(V::mul(x, x), V::set(0.0713548162726F), V::set(1.59576912161F));
    return gated(x, V::mul(x, cubic));
  }

  // x (1 + erf(x / sqrt 2)) / 2 = max(x, 0) - |x| erfc(|x| / sqrt 2) / 2, which keeps its relative
  // precision at both ends. erfc z = exp(-z^2) t P(t), t = 1 / (1 + z / 2): P is the least maximum
  // of the relative error, 4.4e-8, fitted for 0 <= z <= 15.
  static inline T gelu(T x) {
    const T magnitude = V::abs(x);
    const T z = V::mul(magnitude, V::set(0.707106781187F));
    const T t = V::div(V::set(1.0F), V::fma(z, V::set(0.5F), V::set(1.0F)));
    T p = V::set(-5.938636759e-02F);
    p = V::fma(p, t, V::set(2.861235785e-01F));
    p = V::fma(p, t, V::set(-4.904057311e-01F));
    p = V::fma(p, t, V::set(2.817327563e-01F));
    p = V::fma(p, t, V::set(-2.914832666e-02F));
    p = V::fma(p, t, V::set(2.037525134e-01F));
    p = V::fma(p, t, V::set(2.428350984e-01F));
    p = V::fma(p, t, V::set(2.824121036e-01F));
    p = V::fma(p, t, V::set(2.820843309e-01F));
    const T tail = V::mul(exp(V::sub(V::set(0.0F), V::mul(z, z))), V::mul(t, p));
    return V::sub(V::max(V::set(0.0F), x), V::mul(V::mul(magnitude, V::set(0.5F)), tail));
  }
};

}  // namespace tenon::kernels::cpu::linear
