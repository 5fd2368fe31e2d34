// The activations against their formulas: the reference on fixed values, the fast rows against the
// reference in double precision over the whole range of float32.
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "base/half.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu {
namespace {

const KernelRow& row_named(std::string_view name) {
  for (const KernelRow& row : activation_rows()) {
    if (row.name == name) return row;
  }
  throw std::runtime_error("no such row");
}

std::vector<const KernelRow*> fast_rows(std::string_view op) {
  std::vector<const KernelRow*> rows;
  for (const KernelRow& row : activation_rows()) {
    if (row.op == op && row.isa != Isa::none && row.isa <= native_isa()) rows.push_back(&row);
  }
  return rows;
}

bool takes_halves(const KernelRow& row) {
  return row.op == "tenon.SwiGlu" || row.op == "tenon.GeGlu";
}

Tensor run(const KernelRow& row, const Attributes& attributes, const Tensor& x, Shape out_shape,
           int threads = 1) {
  StepDescription step;
  step.op = row.op;
  step.attributes = &attributes;
  step.inputs.resize(1);
  step.inputs[0].dtype = x.dtype();
  step.inputs[0].shape = x.shape();
  step.outputs.resize(1);
  step.outputs[0].dtype = x.dtype();
  step.outputs[0].shape = out_shape;
  EXPECT_TRUE(row.accepts(step)) << row.name;
  Tensor y(x.dtype(), out_shape);
  ThreadPool pool(threads);
  const TensorView in = x.view();
  const MutableTensorView out{y.dtype(), y.shape(), y.data()};
  row.bind(step)({.inputs = std::span(&in, 1), .outputs = std::span(&out, 1), .pool = &pool});
  return y;
}

/// Every 4093rd float32, both signs, from zero over subnormals to infinity, and some named ones.
std::vector<float> all_magnitudes() {
  std::vector<float> values;
  for (std::uint64_t bits = 0; bits <= 0xffffffffU; bits += 4093) {
    const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (!std::isnan(x)) values.push_back(x);
  }
  for (float x = -110.0F; x < 20.0F; x += 0.00137F) values.push_back(x);
  for (const float x : {0.0F, -0.0F, 1.0F, -1.0F, 1e-40F, -1e-40F}) values.push_back(x);
  return values;
}

double ulp(double value) {
  const int exponent = std::ilogb(std::max(std::abs(value), 0x1p-126));
  return std::ldexp(1.0, exponent - 23);
}

/// |got - want| <= bound(x) ulp of want + floor, for the whole range.
template <typename Bound>
void expect_close(std::string_view op, const Attributes& attributes, Bound bound, double floor) {
  const std::vector<float> values = all_magnitudes();
  const auto count = static_cast<std::int64_t>(values.size());
  const Tensor x = Tensor::from_floats({count}, values);
  const std::string stem = op == "Gelu" ? "gelu_reference" : "swish_reference";
  const Tensor want = run(row_named(stem), attributes, converted(x.view(), DType::f64), {count});
  for (const KernelRow* row : fast_rows(op)) {
    const Tensor got = run(*row, attributes, x, {count}, 2);
    double worst = 0.0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double y = static_cast<double>(got.as<float>()[i]);
      const double truth = want.as<double>()[i];
      if (std::isnan(truth) || std::isinf(truth)) {
        ASSERT_TRUE(std::isnan(truth) ? std::isnan(y) : y == truth) << row->name << values[i];
        continue;
      }
      const double error = std::max(0.0, std::abs(y - truth) - floor) / ulp(truth);
      worst = std::max(worst, error / bound(static_cast<double>(values[i])));
      ASSERT_LE(error, bound(static_cast<double>(values[i])))
          << row->name << " at " << values[i] << ": " << y << ", true " << truth;
    }
    ::testing::Test::RecordProperty(std::string(row->name) + "_of_bound", std::to_string(worst));
  }
}

TEST(Activation, ReferenceKnowsFixedValues) {
  // From tables of the normal distribution: Phi(1) = 0.841344746, Phi(-2) = 0.0227501319.
  const Tensor x = Tensor::from_floats({3}, std::vector<float>{1.0F, -2.0F, 0.0F});
  const Tensor gelu = run(row_named("gelu_reference"), {}, x, {3});
  EXPECT_FLOAT_EQ(gelu.as<float>()[0], 0.841344746F);
  EXPECT_FLOAT_EQ(gelu.as<float>()[1], -0.0455002639F);
  EXPECT_EQ(gelu.as<float>()[2], 0.0F);
  const Tensor tanh_form = run(row_named("gelu_reference"), {{"approximate", "tanh"}}, x, {3});
  EXPECT_FLOAT_EQ(tanh_form.as<float>()[0], 0.841191991F);
  EXPECT_FLOAT_EQ(tanh_form.as<float>()[1], -0.0454023059F);
  const Tensor swish = run(row_named("swish_reference"), {{"alpha", 2.0F}}, x, {3});
  EXPECT_FLOAT_EQ(swish.as<float>()[0], 0.880797078F);
  EXPECT_FLOAT_EQ(swish.as<float>()[1], -0.0359724199F);
}

TEST(Activation, ReferenceTakesEveryFloatType) {
  const Tensor x = Tensor::from_floats({2}, std::vector<float>{1.0F, -2.0F});
  for (const DType type : {DType::f16, DType::bf16, DType::f64}) {
    const Tensor y = run(row_named("gelu_reference"), {}, converted(x.view(), type), {2});
    EXPECT_NEAR(converted(y.view(), DType::f32).as<float>()[0], 0.841344746F, 0x1p-9);
  }
}

TEST(Activation, GeluIsCloseOverTheWholeRange) {
  expect_close(
      "Gelu", {}, [](double) { return 8.0; }, 0x1p-142);
}

TEST(Activation, GeluTanhIsCloseOverTheWholeRange) {
  expect_close(
      "Gelu", {{"approximate", "tanh"}},
      [](double x) {
        const double u = 0.7978845608 * (x + 0.044715 * x * x * x);
        return 4.0 + 4.0 * std::min(std::abs(u), 110.0);
      },
      0x1p-142);
}

TEST(Activation, SwishIsCloseOverTheWholeRange) {
  expect_close(
      "Swish", {}, [](double) { return 4.0; }, 0x1p-142);
  expect_close(
      "Swish", {{"alpha", 1.702F}},
      [](double x) { return 4.0 + std::min(std::abs(1.702 * x), 110.0); }, 0x1p-142);
}

TEST(Activation, NanAndInfinitiesFollowTheFormula) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const Tensor x = Tensor::from_floats(
      {3}, std::vector<float>{std::numeric_limits<float>::quiet_NaN(), -kInf, kInf});
  for (const KernelRow& row : activation_rows()) {
    if (takes_halves(row) || row.isa > native_isa()) continue;
    for (const char* form : {"none", "tanh"}) {
      const Tensor y = run(row, {{"approximate", form}}, x, {3});
      EXPECT_TRUE(std::isnan(y.as<float>()[0])) << row.name;
      EXPECT_TRUE(std::isnan(y.as<float>()[1])) << row.name;
      EXPECT_EQ(y.as<float>()[2], kInf) << row.name;
    }
  }
}

/// Both halves of rows that no width of a register divides; the reference follows `formula`, the
/// fast rows the reference within `bound` ulp.
void expect_halves(std::string_view op, std::string_view reference,
                   double (*formula)(double first, double second), double bound) {
  for (const std::int64_t width : {1, 5, 16, 31, 1000}) {
    const std::int64_t rows = 37;
    std::vector<float> values(static_cast<std::size_t>(rows * 2 * width));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(static_cast<int>(i * 7919 % 1999) - 1000) / 100.0F;
    }
    const Tensor x = Tensor::from_floats({1, rows, 2 * width}, values);
    const Shape shape = {1, rows, width};
    const Tensor want = run(row_named(reference), {}, converted(x.view(), DType::f64), shape);
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto first = static_cast<std::size_t>(r * 2 * width);
      const auto a = static_cast<double>(values[first]);
      const auto b = static_cast<double>(values[first + static_cast<std::size_t>(width)]);
      ASSERT_NEAR(want.as<double>()[static_cast<std::size_t>(r * width)], formula(a, b), 1e-12);
    }
    for (const KernelRow* row : fast_rows(op)) {
      for (const int threads : {1, 3}) {
        const Tensor got = run(*row, {}, x, shape, threads);
        for (std::size_t i = 0; i < got.as<float>().size(); ++i) {
          const double truth = want.as<double>()[i];
          ASSERT_NEAR(static_cast<double>(got.as<float>()[i]), truth, bound * ulp(truth))
              << row->name << " width " << width << " at " << i;
        }
      }
    }
  }
}

TEST(Activation, SwigluMultipliesTheHalves) {
  expect_halves(
      "tenon.SwiGlu", "swiglu_reference",
      [](double gate, double up) { return gate / (1.0 + std::exp(-gate)) * up; }, 5.0);
}

TEST(Activation, GegluMultipliesTheHalves) {
  expect_halves(
      "tenon.GeGlu", "geglu_reference",
      [](double hidden, double gate) {
        return hidden * 0.5 * gate * std::erfc(-gate / std::sqrt(2.0));
      },
      // a product is rounded once; an ulp of a factor may be two of the product
      2.0 * 8.0 + 1.0);
}

TEST(Activation, WritesNothingBeyondItsOutput) {
  for (const KernelRow& row : activation_rows()) {
    if (takes_halves(row) || row.isa > native_isa()) continue;
    for (std::size_t count = 1; count < 40; ++count) {
      std::vector<float> x(count, 0.5F);
      std::vector<float> y(count + 32, 77.0F);
      const Attributes none;
      StepDescription step;
      step.attributes = &none;
      step.inputs.resize(1);
      step.outputs.resize(1);
      ThreadPool pool(1);
      const Shape shape = {static_cast<std::int64_t>(count)};
      const TensorView in{DType::f32, shape, std::as_bytes(std::span(x)).data()};
      const MutableTensorView out{DType::f32, shape,
                                  std::as_writable_bytes(std::span(y)).subspan(64).data()};
      row.bind(step)({.inputs = std::span(&in, 1), .outputs = std::span(&out, 1), .pool = &pool});
      for (std::size_t i = 0; i < 16; ++i) {
        ASSERT_EQ(y[i], 77.0F) << row.name;
        ASSERT_EQ(y[16 + count + i], 77.0F) << row.name;
      }
      ASSERT_NE(y[15 + count], 77.0F) << row.name;
    }
  }
}

TEST(Activation, RefusesWhatItDoesNotKnow) {
  const Attributes odd = {{"approximate", "sigmoid"}};
  StepDescription step;
  step.attributes = &odd;
  step.inputs.resize(1);
  step.outputs.resize(1);
  step.inputs[0].shape = {3};
  for (const KernelRow& row : activation_rows()) {
    if (row.op == "Swish") continue;
    EXPECT_FALSE(row.accepts(step)) << row.name;  // 3 has no halves
  }
}

}  // namespace
}  // namespace tenon::kernels::cpu
