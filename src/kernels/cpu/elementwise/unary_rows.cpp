// The formulas of all operators of one input, one struct each: `apply` in double, or in the element
// type where that gives the same after rounding.
#include <cmath>
#include <numbers>
#include <type_traits>

#include "kernels/cpu/elementwise/rows.h"
#include "kernels/cpu/elementwise/unary.h"
#include "kernels/cpu/reference/accepts.h"

namespace tenon::kernels::cpu {
namespace {

using namespace reference;

// Without parameters; exact in any type, so that float32 needs no double.
struct Abs {
  static double apply(double x) { return std::fabs(x); }
  static float apply(float x) { return std::fabs(x); }
  static std::int64_t apply(std::int64_t x) {
    return x < 0 ? std::int64_t(0 - std::uint64_t(x)) : x;
  }
};
struct Neg {
  static double apply(double x) { return -x; }
  static float apply(float x) { return -x; }
  static std::int64_t apply(std::int64_t x) { return std::int64_t(0 - std::uint64_t(x)); }
};
struct Sign {
  static double apply(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
  static std::int64_t apply(std::int64_t x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }
};
struct Relu {
  static double apply(double x) { return x < 0 ? 0 : x; }
  static float apply(float x) { return x < 0 ? 0 : x; }
  static std::int64_t apply(std::int64_t x) { return x < 0 ? 0 : x; }
};
struct Sqrt {
  static double apply(double x) { return std::sqrt(x); }
  static float apply(float x) { return std::sqrt(x); }
};
struct Reciprocal {
  static double apply(double x) { return 1 / x; }
  static float apply(float x) { return 1 / x; }
};
struct Floor {
  static double apply(double x) { return std::floor(x); }
  static float apply(float x) { return std::floor(x); }
};
struct Ceil {
  static double apply(double x) { return std::ceil(x); }
  static float apply(float x) { return std::ceil(x); }
};
struct Round {  // half to even, as the rounding mode of a new process is
  static double apply(double x) { return std::nearbyint(x); }
  static float apply(float x) { return std::nearbyint(x); }
};
struct Not {
  static double apply(double x) { return x == 0 ? 1 : 0; }
  static std::int64_t apply(std::int64_t x) { return x == 0 ? 1 : 0; }
};
struct IsNan {
  static double apply(double x) { return std::isnan(x) ? 1 : 0; }
};

struct Exp {
  static double apply(double x) { return std::exp(x); }
};
struct Log {
  static double apply(double x) { return std::log(x); }
};
struct Sin {
  static double apply(double x) { return std::sin(x); }
};
struct Cos {
  static double apply(double x) { return std::cos(x); }
};
struct Tan {
  static double apply(double x) { return std::tan(x); }
};
struct Asin {
  static double apply(double x) { return std::asin(x); }
};
struct Acos {
  static double apply(double x) { return std::acos(x); }
};
struct Atan {
  static double apply(double x) { return std::atan(x); }
};
struct Sinh {
  static double apply(double x) { return std::sinh(x); }
};
struct Cosh {
  static double apply(double x) { return std::cosh(x); }
};
struct Tanh {
  static double apply(double x) { return std::tanh(x); }
};
struct Asinh {
  static double apply(double x) { return std::asinh(x); }
};
struct Acosh {
  static double apply(double x) { return std::acosh(x); }
};
struct Atanh {
  static double apply(double x) { return std::atanh(x); }
};
struct Erf {
  static double apply(double x) { return std::erf(x); }
};
struct Sigmoid {  // 1 / (1 + e^-x)
  static double apply(double x) { return 1 / (1 + std::exp(-x)); }
};
struct Softplus {  // log(1 + e^x), without overflow
  static double apply(double x) { return std::log1p(std::exp(-std::fabs(x))) + std::fmax(x, 0); }
};
struct Softsign {
  static double apply(double x) { return x / (1 + std::fabs(x)); }
};
struct Mish {
  static double apply(double x) { return x * std::tanh(Softplus::apply(x)); }
};
struct HardSwish {  // x * max(0, min(1, x / 6 + 1 / 2))
  static double apply(double x) { return x * std::fmax(0, std::fmin(1, x / 6 + 0.5)); }
};

// With parameters a and b; `kDefaults` are ONNX's.
struct HardSigmoid {  // max(0, min(1, a x + b))
  static constexpr UnaryParameters kDefaults = {{0.2F, 0.5F}};
  static double apply(double x, double a, double b) {
    return std::fmax(0, std::fmin(1, a * x + b));
  }
};
struct LeakyRelu {
  static constexpr UnaryParameters kDefaults = {{0.01F, 0}};
  static double apply(double x, double a, double) { return x < 0 ? a * x : x; }
};
struct ThresholdedRelu {
  static constexpr UnaryParameters kDefaults = {{1, 0}};
  static double apply(double x, double a, double) { return x > a ? x : 0; }
};
struct Elu {
  static constexpr UnaryParameters kDefaults = {{1, 0}};
  static double apply(double x, double a, double) { return x < 0 ? a * std::expm1(x) : x; }
};
struct Celu {  // max(0, x) + min(0, a (e^(x / a) - 1))
  static constexpr UnaryParameters kDefaults = {{1, 0}};
  static double apply(double x, double a, double) {
    return std::fmax(0, x) + std::fmin(0, a * std::expm1(x / a));
  }
};
struct Selu {  // gamma x above 0, gamma (alpha e^x - alpha) below
  static constexpr UnaryParameters kDefaults = {
      {1.67326319217681884765625F, 1.05070102214813232421875F}};
  static double apply(double x, double a, double b) { return b * (x > 0 ? x : a * std::expm1(x)); }
};
struct IsInf {  // a: negative infinity counts, b: positive infinity counts
  static constexpr UnaryParameters kDefaults = {{1, 1}};
  static double apply(double x, double a, double b) {
    return std::isinf(x) && (x < 0 ? a : b) != 0 ? 1 : 0;
  }
};

template <typename Op, typename T>
void loop(const T* x, T* y, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = Op::apply(x[i]);
}

template <typename Op, typename T>
void loop_ignoring(const T* x, T* y, std::int64_t count, const float*) {
  loop<Op>(x, y, count);
}

template <typename Op>
void loop_with(const double* x, double* y, std::int64_t count, const float* parameters) {
  const double a = parameters[0];
  const double b = parameters[1];
  for (std::int64_t i = 0; i < count; ++i) y[i] = Op::apply(x[i], a, b);
}

// Overloads that take exactly T, not by conversion.
template <typename Op, typename T>
constexpr bool kHas = requires(T (*exact)(T)) {
  exact = &Op::apply;
};

template <typename Op>
BoundKernel bind_plain(const StepDescription&) {
  UnaryLoops loops{loop_ignoring<Op, double>};
  if constexpr (kHas<Op, std::int64_t>) loops.integer = loop<Op, std::int64_t>;
  if constexpr (kHas<Op, float>) loops.single = loop_ignoring<Op, float>;
  return bind_unary(loops, {});
}

template <typename Op>
BoundKernel bind_with(const StepDescription& step) {
  UnaryParameters parameters = Op::kDefaults;
  parameters.values[0] = step.attributes->get_float("alpha", parameters.values[0]);
  const char* second = std::is_same_v<Op, Selu> ? "gamma" : "beta";
  parameters.values[1] = step.attributes->get_float(second, parameters.values[1]);
  return bind_unary({loop_with<Op>}, parameters);
}

BoundKernel bind_is_inf(const StepDescription& step) {
  UnaryParameters parameters;
  parameters.values[0] = step.attributes->get_int("detect_negative", 1) != 0 ? 1.0F : 0.0F;
  parameters.values[1] = step.attributes->get_int("detect_positive", 1) != 0 ? 1.0F : 0.0F;
  return bind_unary({loop_with<IsInf>}, parameters);
}

bool accepts_test(const StepDescription& step) {
  return all_plain(step) && is_float(step.inputs[0].dtype) &&
         step.outputs[0].dtype == DType::boolean;
}

template <typename Op>
constexpr KernelRow plain(std::string_view op, std::string_view name) {
  return {.op = op,
          .name = name,
          .isa = Isa::none,
          .weight_format = "",
          .accepts = kHas<Op, std::int64_t> ? all_numbers : all_float,
          .bind = bind_plain<Op>,
          .in_place = true};
}

template <typename Op>
constexpr KernelRow with(std::string_view op, std::string_view name) {
  return {.op = op,
          .name = name,
          .isa = Isa::none,
          .weight_format = "",
          .accepts = all_float,
          .bind = bind_with<Op>,
          .in_place = true};
}

constexpr KernelRow kRows[] = {
    plain<Abs>("Abs", "abs_reference"),
    plain<Neg>("Neg", "neg_reference"),
    plain<Sign>("Sign", "sign_reference"),
    plain<Relu>("Relu", "relu_reference"),
    plain<Sqrt>("Sqrt", "sqrt_reference"),
    plain<Reciprocal>("Reciprocal", "reciprocal_reference"),
    plain<Floor>("Floor", "floor_reference"),
    plain<Ceil>("Ceil", "ceil_reference"),
    plain<Round>("Round", "round_reference"),
    plain<Exp>("Exp", "exp_reference"),
    plain<Log>("Log", "log_reference"),
    plain<Sin>("Sin", "sin_reference"),
    plain<Cos>("Cos", "cos_reference"),
    plain<Tan>("Tan", "tan_reference"),
    plain<Asin>("Asin", "asin_reference"),
    plain<Acos>("Acos", "acos_reference"),
    plain<Atan>("Atan", "atan_reference"),
    plain<Sinh>("Sinh", "sinh_reference"),
    plain<Cosh>("Cosh", "cosh_reference"),
    plain<Tanh>("Tanh", "tanh_reference"),
    plain<Asinh>("Asinh", "asinh_reference"),
    plain<Acosh>("Acosh", "acosh_reference"),
    plain<Atanh>("Atanh", "atanh_reference"),
    plain<Erf>("Erf", "erf_reference"),
    plain<Sigmoid>("Sigmoid", "sigmoid_reference"),
    plain<Softplus>("Softplus", "softplus_reference"),
    plain<Softsign>("Softsign", "softsign_reference"),
    plain<Mish>("Mish", "mish_reference"),
    plain<HardSwish>("HardSwish", "hard_swish_reference"),
    with<HardSigmoid>("HardSigmoid", "hard_sigmoid_reference"),
    with<LeakyRelu>("LeakyRelu", "leaky_relu_reference"),
    with<ThresholdedRelu>("ThresholdedRelu", "thresholded_relu_reference"),
    with<Elu>("Elu", "elu_reference"),
    with<Celu>("Celu", "celu_reference"),
    with<Selu>("Selu", "selu_reference"),
    {.op = "Not",
     .name = "not_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = all_same,
     .bind = bind_plain<Not>,
     .in_place = true},
    {.op = "IsNaN",
     .name = "is_nan_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = accepts_test,
     .bind = bind_plain<IsNan>},
    {.op = "IsInf",
     .name = "is_inf_reference",
     .isa = Isa::none,
     .weight_format = "",
     .accepts = accepts_test,
     .bind = bind_is_inf},
};

}  // namespace

std::span<const KernelRow> unary_rows() { return kRows; }

}  // namespace tenon::kernels::cpu
