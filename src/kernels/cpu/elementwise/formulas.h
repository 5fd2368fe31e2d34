// The formulas of operators on two numbers, each in double and in int64. Integers wrap around;
// dividing them by 0 gives 0. Minimum and maximum of a NaN are NaN.
#pragma once

#include <cmath>
#include <cstdint>

namespace tenon::kernels::cpu {

inline std::uint64_t bits(std::int64_t value) { return static_cast<std::uint64_t>(value); }

struct Add {
  template <typename T>
  static T apply(T a, T b) {
    return a + b;
  }
  static std::int64_t apply(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(bits(a) + bits(b));
  }
};
struct Sub {
  template <typename T>
  static T apply(T a, T b) {
    return a - b;
  }
  static std::int64_t apply(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(bits(a) - bits(b));
  }
};
struct Mul {
  template <typename T>
  static T apply(T a, T b) {
    return a * b;
  }
  static std::int64_t apply(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(bits(a) * bits(b));
  }
};
struct Div {
  template <typename T>
  static T apply(T a, T b) {
    return a / b;
  }
  static std::int64_t apply(std::int64_t a, std::int64_t b) {
    if (b == 0) return 0;
    return b == -1 ? static_cast<std::int64_t>(0 - bits(a)) : a / b;
  }
};
struct Min {
  template <typename T>
  static T apply(T a, T b) {
    return a < b || a != a ? a : b;
  }
};
struct Max {
  template <typename T>
  static T apply(T a, T b) {
    return a > b || a != a ? a : b;
  }
};
struct Pow {
  static double apply(double a, double b) { return std::pow(a, b); }
  static std::int64_t apply(std::int64_t a, std::int64_t b) {
    if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 == 0 ? 1 : -1) : 0;
    std::uint64_t power = 1;
    for (std::uint64_t base = bits(a); b > 0; b /= 2, base *= base) {
      if (b % 2 == 1) power *= base;
    }
    return static_cast<std::int64_t>(power);
  }
};
struct Mod {  // the sign of the divisor
  static double apply(double a, double b) {
    const double rest = std::fmod(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
  }
  static std::int64_t apply(std::int64_t a, std::int64_t b) {
    if (b == 0 || b == -1) return 0;
    const std::int64_t rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
  }
};
struct Fmod {  // the sign of the dividend
  static double apply(double a, double b) { return std::fmod(a, b); }
  static std::int64_t apply(std::int64_t a, std::int64_t b) {
    return b == 0 || b == -1 ? 0 : a % b;
  }
};
struct PRelu {
  static double apply(double a, double b) { return a < 0 ? a * b : a; }
  static std::int64_t apply(std::int64_t a, std::int64_t b) { return a < 0 ? Mul::apply(a, b) : a; }
};

struct Equal {
  template <typename T>
  static T apply(T a, T b) {
    return a == b ? 1 : 0;
  }
};
struct Greater {
  template <typename T>
  static T apply(T a, T b) {
    return a > b ? 1 : 0;
  }
};
struct GreaterOrEqual {
  template <typename T>
  static T apply(T a, T b) {
    return a >= b ? 1 : 0;
  }
};
struct Less {
  template <typename T>
  static T apply(T a, T b) {
    return a < b ? 1 : 0;
  }
};
struct LessOrEqual {
  template <typename T>
  static T apply(T a, T b) {
    return a <= b ? 1 : 0;
  }
};

// Of integers, and so of bools as 0 and 1.
struct BitAnd {
  static std::int64_t apply(std::int64_t a, std::int64_t b) { return a & b; }
};
struct BitOr {
  static std::int64_t apply(std::int64_t a, std::int64_t b) { return a | b; }
};
struct BitXor {
  static std::int64_t apply(std::int64_t a, std::int64_t b) { return a ^ b; }
};

}  // namespace tenon::kernels::cpu
