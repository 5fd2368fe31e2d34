// Every elementwise row against expectations written by hand or computed by plain formulas here.
#include <cmath>
#include <limits>
#include <numbers>

#include <gtest/gtest.h>

#include "base/half.h"
#include "kernels/cpu/tables.h"
#include "kernels/reference_test_support.h"

namespace tenon::kernels {
namespace {

using namespace kernels::testing;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");
// One rounding to float32 of a value that double has to about 53 bits.
constexpr double kHalfUlp = 1.0 / (1 << 24) * 1.0001;
std::int64_t num(std::int64_t value) { return value; }

RowCase unary(const std::string& row, const std::vector<double>& x, double (*formula)(double),
              Attributes attributes = {}) {
  std::vector<double> y;
  for (const double value : x) y.push_back(formula(static_cast<double>(static_cast<float>(value))));
  const Shape shape = {std::ssize(x)};
  return {row, {f32(shape, x)}, std::move(attributes), {f32(shape, y)}, kHalfUlp};
}

const std::vector<double> kSome = {-3.5, -1, -0.25, 0, 0.125, 0.75, 1, 2.5, 10};
const std::vector<double> kUnit = {-0.99, -0.5, 0, 0.3, 0.9};
const std::vector<double> kPositive = {1e-3, 0.5, 1, 2, 100};
const std::vector<double> kFromOne = {1, 1.5, 4, 100};

std::vector<RowCase> unary_cases() {
  const float alpha = 0.3F;
  return {
      unary("abs_reference", kSome, [](double x) { return x < 0 ? -x : x; }),
      {"abs_reference", {i64({2}, {-3, INT64_MIN + 1})}, {}, {i64({2}, {3, INT64_MAX})}},
      unary("neg_reference", kSome, [](double x) { return -x; }),
      {"neg_reference", {i64({2}, {5, INT64_MIN})}, {}, {i64({2}, {-5, INT64_MIN})}},
      {"sign_reference", {f32({4}, {-2, 0, 7, kNan})}, {}, {f32({4}, {-1, 0, 1, kNan})}},
      {"sign_reference", {i64({3}, {-2, 0, 7})}, {}, {i64({3}, {-1, 0, 1})}},
      {"relu_reference", {f32({2, 2}, {-2, 0, 7, kNan})}, {}, {f32({2, 2}, {0, 0, 7, kNan})}},
      {"relu_reference", {i64({2}, {-2, 3})}, {}, {i64({2}, {0, 3})}},
      unary("sqrt_reference", kPositive, [](double x) { return std::pow(x, 0.5); }),
      unary("reciprocal_reference", kPositive, [](double x) { return 1 / x; }),
      {"floor_reference", {f32({3}, {-1.5, 1.5, 2})}, {}, {f32({3}, {-2, 1, 2})}},
      {"ceil_reference", {f32({3}, {-1.5, 1.5, 2})}, {}, {f32({3}, {-1, 2, 2})}},
      {"round_reference",
       {f32({6}, {-2.5, -1.5, -0.4, 0.5, 1.5, 2.5})},
       {},
       {f32({6}, {-2, -2, 0, 0, 2, 2})}},
      unary("exp_reference", kSome, [](double x) { return std::pow(std::numbers::e, x); }),
      unary("log_reference", kPositive, [](double x) { return std::log2(x) * std::numbers::ln2; }),
      unary("sin_reference", kSome, [](double x) { return std::cos(x - std::numbers::pi / 2); }),
      unary("cos_reference", kSome, [](double x) { return std::sin(x + std::numbers::pi / 2); }),
      unary("tan_reference", kSome, [](double x) { return std::sin(x) / std::cos(x); }),
      unary("asin_reference", kUnit, [](double x) { return std::atan2(x, std::sqrt(1 - x * x)); }),
      unary("acos_reference", kUnit, [](double x) { return std::atan2(std::sqrt(1 - x * x), x); }),
      unary("atan_reference", kSome, [](double x) { return std::atan2(x, 1.0); }),
      unary("sinh_reference", kSome, [](double x) { return (std::exp(x) - std::exp(-x)) / 2; }),
      unary("cosh_reference", kSome, [](double x) { return (std::exp(x) + std::exp(-x)) / 2; }),
      unary("tanh_reference", kSome, [](double x) { return 1 - 2 / (std::exp(2 * x) + 1); }),
      unary("asinh_reference", kPositive,
            [](double x) { return std::log(x + std::sqrt(x * x + 1)); }),
      unary("acosh_reference", kFromOne,
            [](double x) { return std::log(x + std::sqrt(x * x - 1)); }),
      unary("atanh_reference", kUnit, [](double x) { return std::log((1 + x) / (1 - x)) / 2; }),
      unary("erf_reference", kSome, [](double x) { return 1 - std::erfc(x); }),
      unary("sigmoid_reference", kSome, [](double x) { return (1 + std::tanh(x / 2)) / 2; }),
      {"sigmoid_reference", {f32({2}, {-1000, 1000})}, {}, {f32({2}, {0, 1})}},
      unary("softplus_reference", kSome, [](double x) { return std::log(1 + std::exp(x)); }),
      {"softplus_reference", {f32({2}, {-1000, 1000})}, {}, {f32({2}, {0, 1000})}},
      unary("softsign_reference", kSome, [](double x) { return x / (1 + std::abs(x)); }),
      unary("mish_reference", kSome,
            [](double x) { return x * std::tanh(std::log(1 + std::exp(x))); }),
      {"hard_swish_reference", {f32({4}, {-4, 0, 1, 5})}, {}, {f32({4}, {0, 0, 2.0 / 3, 5})}},
      unary("hard_sigmoid_reference", kSome,
            [](double x) {
              const double y = static_cast<double>(0.2F) * x + 0.5;
              return y < 0 ? 0 : y > 1 ? 1 : y;
            }),
      {"hard_sigmoid_reference",
       {f32({2}, {1, 9})},
       {{"alpha", 0.25F}, {"beta", 0.125F}},
       {f32({2}, {0.375, 1})}},
      {"leaky_relu_reference", {f32({2}, {-4, 4})}, {{"alpha", 0.25F}}, {f32({2}, {-1, 4})}},
      {"thresholded_relu_reference", {f32({3}, {0.5, 1, 1.5})}, {}, {f32({3}, {0, 0, 1.5})}},
      unary("elu_reference", kSome,
            [](double x) { return x < 0 ? static_cast<double>(0.3F) * (std::exp(x) - 1) : x; },
            {{"alpha", alpha}}),
      unary("celu_reference", kSome,
            [](double x) {
              const auto a = static_cast<double>(0.3F);
              return x < 0 ? a * (std::exp(x / a) - 1) : x;
            },
            {{"alpha", alpha}}),
      unary("selu_reference", kSome,
            [](double x) {
              const double scale = static_cast<double>(1.0507009873554805F);
              const double slope = static_cast<double>(1.6732632423543772F);
              return x > 0 ? scale * x : scale * (slope * std::exp(x) - slope);
            }),
      {"not_reference", {boolean({3}, {1, 0, 1})}, {}, {boolean({3}, {0, 1, 0})}},
      {"is_nan_reference", {f32({3}, {1, kNan, kInfinity})}, {}, {boolean({3}, {0, 1, 0})}},
      {"is_inf_reference",
       {f32({4}, {1, kNan, kInfinity, -kInfinity})},
       {},
       {boolean({4}, {0, 0, 1, 1})}},
      {"is_inf_reference",
       {f32({2}, {kInfinity, -kInfinity})},
       {{"detect_negative", num(0)}},
       {boolean({2}, {1, 0})}},
      // e^12 is beyond float16.
      {"exp_reference",
       {tensor(DType::f16, {2}, {0, 12})},
       {},
       {tensor(DType::f16, {2}, {1, kInfinity})}},
      {"exp_reference", {tensor(DType::bf16, {1}, {1})}, {}, {tensor(DType::bf16, {1}, {2.71875})}},
      {"neg_reference", {tensor(DType::f64, {1}, {0.1})}, {}, {tensor(DType::f64, {1}, {-0.1})}},
      {"relu_reference", {f32({0, 3}, {})}, {}, {f32({0, 3}, {})}},
      {"relu_reference", {f32({}, {-1})}, {}, {f32({}, {0})}},
  };
}

std::vector<RowCase> cast_cases() {
  return {
      {"cast_reference",
       {f32({6}, {-1.9, 1.9, kNan, 1e30, -1e30, 7})},
       {},
       {i64({6}, {-1, 1, 0, INT64_MAX, INT64_MIN, 7})}},
      {"cast_reference",
       {f32({3}, {300, -200, 5.5})},
       {},
       {tensor(DType::i8, {3}, {127, -128, 5})}},
      {"cast_reference", {i64({2}, {257, -1})}, {}, {tensor(DType::u8, {2}, {1, 255})}},
      {"cast_reference", {f32({4}, {0, -0.0, 0.5, kNan})}, {}, {boolean({4}, {0, 0, 1, 1})}},
      {"cast_reference", {boolean({2}, {1, 0})}, {}, {f32({2}, {1, 0})}},
      {"cast_reference",
       {f32({3}, {1.00390625, 65519, 65520})},
       {},
       {tensor(DType::f16, {3}, {1.00390625, 65504, kInfinity})}},
      {"cast_like_reference", {f32({1}, {2.5}), i64({1}, {0})}, {}, {i64({1}, {2})}},
      {"cast_reference", {i64({1}, {(1LL << 53) + 1})}, {}, {i64({1}, {(1LL << 53) + 1})}},
  };
}

Tensor bf16(Shape shape, const std::vector<double>& values) {
  return tensor(DType::bf16, std::move(shape), values);
}

std::vector<RowCase> binary_cases() {
  return {
      {"add_reference",
       {f32({2, 3}, {1, 2, 3, 4, 5, 6}), f32({3}, {10, 20, 30})},
       {},
       {f32({2, 3}, {11, 22, 33, 14, 25, 36})}},
      {"add_reference",
       {f32({2, 1}, {1, 2}), f32({1, 3}, {10, 20, 30})},
       {},
       {f32({2, 3}, {11, 21, 31, 12, 22, 32})}},
      {"add_reference",
       {f32({2, 1, 2}, {1, 2, 3, 4}), f32({3, 1}, {10, 20, 30})},
       {},
       {f32({2, 3, 2}, {11, 12, 21, 22, 31, 32, 13, 14, 23, 24, 33, 34})}},
      {"add_reference", {f32({}, {1}), f32({}, {2})}, {}, {f32({}, {3})}},
      {"add_reference", {f32({0, 3}, {}), f32({3}, {1, 2, 3})}, {}, {f32({0, 3}, {})}},
      {"add_reference", {i64({2}, {INT64_MAX, 1}), i64({}, {1})}, {}, {i64({2}, {INT64_MIN, 2})}},
      {"add_reference",
       {tensor(DType::u8, {1}, {255}), tensor(DType::u8, {1}, {2})},
       {},
       {tensor(DType::u8, {1}, {1})}},
      // 1 + 2^-8 is half way between two bfloat16 numbers: to even, and up from anything above it.
      {"add_reference",
       {bf16({2}, {1, 1}), bf16({2}, {0.00390625, 0.003936767578125})},
       {},
       {bf16({2}, {1, 1.0078125})}},
      // The float32 sum of 1, 2^-8 and 2^-40 would lose the last part and round to even.
      {"add_reference",
       {tensor(DType::f64, {1}, {1.00390625}), tensor(DType::f64, {1}, {9.094947017729282e-13})},
       {},
       {bf16({1}, {1.0078125})}},
      {"add_reference", {bf16({1}, {0.5}), f32({2}, {1, 2})}, {}, {f32({2}, {1.5, 2.5})}},
      {"sub_reference", {f32({3}, {5, 6, 7}), f32({1}, {2})}, {}, {f32({3}, {3, 4, 5})}},
      {"sub_reference", {f32({1}, {2}), f32({3}, {5, 6, 7})}, {}, {f32({3}, {-3, -4, -5})}},
      {"mul_reference",
       {f32({2, 1}, {2, 3}), f32({2, 2}, {1, 2, 3, 4})},
       {},
       {f32({2, 2}, {2, 4, 9, 12})}},
      {"div_reference",
       {f32({3}, {1, -1, 0}), f32({3}, {0, 4, 0})},
       {},
       {f32({3}, {kInfinity, -0.25, kNan})}},
      {"div_reference",
       {i64({5}, {7, -7, 7, 5, INT64_MIN}), i64({5}, {2, 2, -2, 0, -1})},
       {},
       {i64({5}, {3, -3, -3, 0, INT64_MIN})}},
      {"pow_reference",
       {f32({3}, {2, 9, -2}), f32({3}, {10, 0.5, 3})},
       {},
       {f32({3}, {1024, 3, -8})}},
      {"pow_reference", {f32({2}, {3, 1.5}), i64({}, {2})}, {}, {f32({2}, {9, 2.25})}},
      {"pow_reference",
       {i64({5}, {3, -2, 5, 2, -1}), i64({5}, {4, 3, 0, -1, -3})},
       {},
       {i64({5}, {81, -8, 1, 0, -1})}},
      {"mod_reference",
       {i64({5}, {7, -7, 7, -7, 3}), i64({5}, {3, 3, -3, -3, 0})},
       {},
       {i64({5}, {1, 2, -2, -1, 0})}},
      {"mod_reference", {i64({2}, {7, -7}), i64({}, {3})}, {{"fmod", num(1)}}, {i64({2}, {1, -1})}},
      {"mod_reference",
       {f32({2}, {5.5, -5.5}), f32({}, {2})},
       {{"fmod", num(1)}},
       {f32({2}, {1.5, -1.5})}},
      {"prelu_reference",
       {f32({2, 2}, {-1, 2, -3, -4}), f32({2}, {0.5, 0.25})},
       {},
       {f32({2, 2}, {-0.5, 2, -1.5, -1})}},
      {"equal_reference",
       {f32({3}, {1, kNan, 2}), f32({3}, {1, kNan, 3})},
       {},
       {boolean({3}, {1, 0, 0})}},
      {"equal_reference",
       {i64({2}, {(1LL << 53) + 1, 4}), i64({2}, {1LL << 53, 4})},
       {},
       {boolean({2}, {0, 1})}},
      {"equal_reference", {boolean({2}, {1, 0}), boolean({1}, {1})}, {}, {boolean({2}, {1, 0})}},
      {"greater_reference", {f32({3}, {1, 2, 3}), f32({}, {2})}, {}, {boolean({3}, {0, 0, 1})}},
      {"greater_or_equal_reference",
       {i64({3}, {1, 2, 3}), i64({}, {2})},
       {},
       {boolean({3}, {0, 1, 1})}},
      {"less_reference", {f32({3}, {1, 2, kNan}), f32({}, {2})}, {}, {boolean({3}, {1, 0, 0})}},
      {"less_or_equal_reference",
       {f32({3}, {1, 2, 3}), f32({}, {2})},
       {},
       {boolean({3}, {1, 1, 0})}},
      {"and_reference",
       {boolean({2, 1}, {1, 0}), boolean({2}, {1, 0})},
       {},
       {boolean({2, 2}, {1, 0, 0, 0})}},
      {"or_reference",
       {boolean({2, 1}, {1, 0}), boolean({2}, {1, 0})},
       {},
       {boolean({2, 2}, {1, 1, 1, 0})}},
      {"xor_reference",
       {boolean({2, 1}, {1, 0}), boolean({2}, {1, 0})},
       {},
       {boolean({2, 2}, {0, 1, 1, 0})}},
      {"bitwise_and_reference", {i64({1}, {12}), i64({1}, {10})}, {}, {i64({1}, {8})}},
      {"bitwise_or_reference", {i64({1}, {12}), i64({1}, {10})}, {}, {i64({1}, {14})}},
      {"bitwise_xor_reference", {i64({1}, {12}), i64({1}, {10})}, {}, {i64({1}, {6})}},
  };
}

std::vector<RowCase> other_cases() {
  return {
      {"min_reference",
       {f32({2}, {1, 5}), f32({}, {3}), f32({2, 1}, {2, 4})},
       {},
       {f32({2, 2}, {1, 2, 1, 3})}},
      {"max_reference", {i64({2}, {1, 5}), i64({2}, {3, 4})}, {}, {i64({2}, {3, 5})}},
      {"max_reference", {f32({2}, {1, kNan}), f32({2}, {kNan, 4})}, {}, {f32({2}, {kNan, kNan})}},
      {"sum_reference",
       {bf16({1}, {1}), bf16({1}, {0.00390625}), bf16({1}, {0.00390625})},
       {},
       {bf16({1}, {1.0078125})}},
      {"where_reference",
       {boolean({2, 1}, {1, 0}), f32({3}, {1, 2, 3}), f32({}, {9})},
       {},
       {f32({2, 3}, {1, 2, 3, 9, 9, 9})}},
      {"where_reference",
       {boolean({2}, {0, 1}), i64({2}, {INT64_MAX, INT64_MIN}), i64({2}, {INT64_MAX - 1, 4})},
       {},
       {i64({2}, {INT64_MAX - 1, INT64_MIN})}},
      {"clip_reference",
       {f32({4}, {-5, 0.5, 5, kNan}), f32({}, {-1}), f32({}, {1})},
       {},
       {f32({4}, {-1, 0.5, 1, kNan})}},
      {"clip_reference", {f32({2}, {-5, 5}), std::nullopt, f32({}, {1})}, {}, {f32({2}, {-5, 1})}},
      {"clip_reference", {i64({2}, {-5, 5}), i64({}, {-1})}, {}, {i64({2}, {-1, 5})}},
      {"clip_reference", {f32({1}, {0}), f32({}, {3}), f32({}, {2})}, {}, {f32({1}, {2})}},
  };
}

std::vector<RowCase> all_cases() {
  std::vector<RowCase> cases = unary_cases();
  for (const auto& part : {cast_cases(), binary_cases(), other_cases()})
    cases.insert(cases.end(), part.begin(), part.end());
  return cases;
}

TEST(Elementwise, RowsGiveWhatIsExpected) {
  for (const RowCase& test : all_cases()) check(cpu::elementwise_rows(), test);
}

TEST(Elementwise, EveryRowIsTested) { expect_all_covered(cpu::elementwise_rows(), all_cases()); }

// Large and odd enough that threads and blocks both have rests.
TEST(Elementwise, LongBroadcastsAgreeWithPlainLoops) {
  constexpr std::int64_t kRows = 67;
  constexpr std::int64_t kColumns = 1031;
  std::vector<double> a;
  std::vector<double> row;
  std::vector<double> column;
  for (std::int64_t i = 0; i < kRows * kColumns; ++i) a.push_back(static_cast<double>(i % 977) / 8);
  for (std::int64_t i = 0; i < kColumns; ++i) row.push_back(static_cast<double>(i % 13) - 6);
  for (std::int64_t i = 0; i < kRows; ++i) column.push_back(static_cast<double>(i) / 4 + 1);
  std::vector<double> with_row;
  std::vector<double> with_column;
  for (std::int64_t r = 0; r < kRows; ++r) {
    for (std::int64_t c = 0; c < kColumns; ++c) {
      const auto at = static_cast<std::size_t>(r * kColumns + c);
      with_row.push_back(a[at] * row[static_cast<std::size_t>(c)]);
      with_column.push_back(column[static_cast<std::size_t>(r)] - a[at]);
    }
  }
  const Shape shape = {kRows, kColumns};
  for (const DType type : {DType::f32, DType::f64}) {
    check(cpu::elementwise_rows(), {"mul_reference",
                                    {tensor(type, shape, a), tensor(type, {kColumns}, row)},
                                    {},
                                    {tensor(type, shape, with_row)}});
    check(cpu::elementwise_rows(), {"sub_reference",
                                    {tensor(type, {kRows, 1}, column), tensor(type, shape, a)},
                                    {},
                                    {tensor(type, shape, with_column)}});
  }
}

TEST(Elementwise, RefusesTypesThatDoNotSuit) {
  const RowCase mixed{"add_reference", {f32({1}, {1}), i64({1}, {1})}, {}, {f32({1}, {1})}};
  const KernelRow* add = row_named(cpu::elementwise_rows(), "add_reference");
  EXPECT_FALSE(add->accepts(describe(mixed, "Add")));
  StepDescription packed =
      describe({"", {f32({1}, {1}), f32({1}, {1})}, {}, {f32({1}, {1})}}, "Add");
  EXPECT_TRUE(add->accepts(packed));
  packed.inputs[1].format = "bf16_tiles";
  EXPECT_FALSE(add->accepts(packed));
}

// All doubles near half-way points of float16 go where exact arithmetic sends them.
TEST(Elementwise, HalfTypesRoundOnce) {
  const double base = 1 + 1.0 / 2048;  // half way between 1 and 1 + 2^-10
  const double tiny = std::ldexp(1.0, -45);
  const Tensor x = tensor(DType::f64, {3}, {base - tiny, base, base + tiny});
  check(cpu::elementwise_rows(),
        {"cast_reference", {x}, {}, {tensor(DType::f16, {3}, {1, 1, 1.0009765625})}});
}

}  // namespace
}  // namespace tenon::kernels
