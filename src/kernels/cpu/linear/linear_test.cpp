// Every row of this family against sums in double, on odd sizes, with guard bytes after the output.
#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

#include "kernels/cpu/linear/linear_harness.h"

namespace tenon::kernels {
namespace {

double exact_activation(std::string_view name, double x) {
  if (name == "relu") return std::max(x, 0.0);
  if (name == "gelu") return 0.5 * x * std::erfc(-x / std::numbers::sqrt2);
  if (name == "gelu_tanh") {
    const double u = std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x);
    return 0.5 * x * (1.0 + std::tanh(u));
  }
  if (name == "silu") return x / (1.0 + std::exp(-x));
  return x;
}

/// One tenon.Linear with its data; runs a row on it and knows how far that may be from exact.
struct Problem {
  Problem(std::int64_t rows, std::int64_t depth, std::int64_t columns, std::string_view activation,
          bool bias, bool residual)
      : m(rows), k(depth), n(columns), act(activation) {
    x = random_floats(static_cast<std::size_t>(m * k), 1);
    for (std::size_t i = 0; i < x.size(); i += 7) x[i] += 3.0F;  // rows that are not centred
    w = Tensor::from_floats({k, n}, random_floats(static_cast<std::size_t>(k * n), 2));
    if (bias) b = random_floats(static_cast<std::size_t>(n), 3);
    if (residual) r = random_floats(static_cast<std::size_t>(m * n), 4);
    attributes.set("activation", std::string(activation));
  }

  StepDescription describe(std::string_view format) const {
    StepDescription step{
        .op = "tenon.Linear", .attributes = &attributes, .inputs = {}, .outputs = {}};
    step.inputs.push_back({DType::f32, {-1, k}, false, true, ""});
    step.inputs.push_back({DType::f32, {k, n}, true, true, format});
    step.inputs.push_back({DType::f32, {n}, true, !b.empty(), ""});
    step.inputs.push_back({DType::f32, {-1, n}, false, !r.empty(), ""});
    step.outputs.push_back({DType::f32, {-1, n}, false, true, ""});
    return step;
  }

  std::vector<float> run(const KernelRow& row, ThreadPool& pool) const {
    const StepDescription step = describe(row.weight_format);
    EXPECT_TRUE(row.accepts(step));
    const PackedFormat* format = format_named(row.weight_format);
    Tensor weight = w;
    if (format != nullptr) {
      weight = Tensor(DType::u8, {static_cast<std::int64_t>(format->bytes(k, n))});
      format->pack(*owned_source(w), weight.data(), pool);
    }
    const auto bytes_of = [](const std::vector<float>& v) {
      return v.empty() ? nullptr : std::as_bytes(std::span(v)).data();
    };
    const std::vector<TensorView> inputs = {{DType::f32, {m, k}, bytes_of(x)},
                                            {DType::f32, {k, n}, weight.data()},
                                            {DType::f32, {n}, bytes_of(b)},
                                            {DType::f32, {m, n}, bytes_of(r)}};
    constexpr std::size_t kGuard = 64;
    std::vector<float> y(static_cast<std::size_t>(m * n) + kGuard, -77.0F);
    const std::vector<MutableTensorView> outputs = {
        {DType::f32, {m, n}, reinterpret_cast<std::byte*>(y.data())}};
    const std::vector<Shape> shapes = {{m, k}, {k, n}, {n}, {m, n}};
    const std::size_t needed =
        row.workspace == nullptr ? 0 : row.workspace(step, shapes, pool.size());
    Tensor workspace(DType::u8, {static_cast<std::int64_t>(needed + kGuard)});
    std::fill_n(workspace.data(), workspace.bytes(), std::byte{0xff});  // NaN where not written
    row.bind(step)({inputs, outputs, workspace.data(), &pool, nullptr});
    for (std::size_t i = 0; i < kGuard; ++i) {
      EXPECT_EQ(y[y.size() - 1 - i], -77.0F) << "written beyond the output";
      EXPECT_EQ(workspace.data()[needed + i], std::byte{0xff}) << "written beyond the workspace";
    }
    y.resize(y.size() - kGuard);
    return y;
  }

  // Compares with the exact result. What may differ:
  //   any format: k additions and products in float, each half a unit of the running sum;
  //   bf16: both operands rounded to 8 bits;
  //   int8: operands at most half a step of their scale off (the zero point's own rounding moves
  //   both ends of a row's range, not its values).
  // Activations have a slope of at most 1.13 and 4e-7 relative error of their own.
  void check(const std::vector<float>& y, DType stored) const {
    const std::vector<double> w_step = column_steps();
    const auto weights = w.as<float>();
    for (std::int64_t i = 0; i < m; ++i) {
      const float* row = x.data() + i * k;
      double low = 0.0;
      double high = 0.0;
      for (std::int64_t p = 0; p < k; ++p) {
        low = std::min(low, static_cast<double>(row[p]));
        high = std::max(high, static_cast<double>(row[p]));
      }
      const double x_half = 0.5 * (high - low) / 255.0 * 1.001;
      for (std::int64_t j = 0; j < n; ++j) {
        const double w_half = 0.5 * w_step[static_cast<std::size_t>(j)] * 1.001;
        double sum = 0.0;
        double magnitude = 0.0;
        double allowed = 0.0;
        for (std::int64_t p = 0; p < k; ++p) {
          const double a = static_cast<double>(row[p]);
          const double c = static_cast<double>(weights[static_cast<std::size_t>(p * n + j)]);
          sum += a * c;
          magnitude += std::fabs(a * c);
          if (stored == DType::i8) {
            // A value at an end of the range may be clipped by the rounding of the zero point.
            allowed += 2 * x_half * std::fabs(c) + w_half * (std::fabs(a) + 2 * x_half);
          }
        }
        if (stored == DType::bf16) allowed = magnitude * (2.0 * kBf16Half + 1e-4);
        allowed += magnitude * static_cast<double>(k + 4) * kFp32Half;
        if (!b.empty()) sum += static_cast<double>(b[static_cast<std::size_t>(j)]);
        allowed += std::fabs(sum) * 2.0 * kFp32Half;
        const double gated = exact_activation(act, sum);
        if (act != "") allowed = 1.13 * allowed + 4e-7 * std::fabs(sum);
        const std::size_t at = static_cast<std::size_t>(i * n + j);
        const double expected = gated + (r.empty() ? 0.0 : static_cast<double>(r[at]));
        allowed += std::fabs(expected) * kFp32Half + 1e-30;
        ASSERT_LE(std::fabs(static_cast<double>(y[at]) - expected), allowed)
            << "row " << i << " column " << j << " of " << m << " x " << k << " x " << n << " "
            << act << ": " << y[at] << " instead of " << expected;
      }
    }
  }

  std::vector<double> column_steps() const {
    std::vector<double> steps(static_cast<std::size_t>(n), 0.0);
    const auto weights = w.as<float>();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      double& step = steps[i % static_cast<std::size_t>(n)];
      step = std::max(step, std::fabs(static_cast<double>(weights[i])) / 127.0);
    }
    return steps;
  }

  std::int64_t m;
  std::int64_t k;
  std::int64_t n;
  std::string act;
  Attributes attributes;
  std::vector<float> x;
  Tensor w;
  std::vector<float> b;
  std::vector<float> r;
};

class LinearRow : public testing::TestWithParam<std::string_view> {
 protected:
  void SetUp() override {
    if (row().isa > native_isa()) {
      GTEST_SKIP() << GetParam() << " needs " << isa_name(row().isa);
    }
  }
  const KernelRow& row() const { return row_named(GetParam()); }
  DType stored() const {
    const PackedFormat* format = format_named(row().weight_format);
    return format == nullptr ? DType::f32 : format->dtype;
  }
};

TEST_P(LinearRow, AgreesWithExactSumsOnOddSizes) {
  ThreadPool pool(2);
  for (const std::int64_t m : {1, 2, 3, 5, 7, 8, 16, 17, 33, 64, 65, 130}) {
    for (const std::int64_t k : {1, 3, 31, 64, 100, 257}) {
      for (const std::int64_t n : {1, 17, 63, 64, 65, 130, 200}) {
        const bool bias = (m + k + n) % 2 == 0;
        const bool residual = (m + n) % 3 == 0;
        const Problem problem(m, k, n, m % 2 == 0 ? "silu" : "", bias, residual);
        problem.check(problem.run(row(), pool), stored());
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(LinearRow, AppliesEachActivationBiasAndResidual) {
  ThreadPool pool(2);
  for (const std::string_view activation : {"", "relu", "gelu", "gelu_tanh", "silu"}) {
    for (const bool bias : {false, true}) {
      for (const bool residual : {false, true}) {
        const Problem problem(9, 70, 77, activation, bias, residual);
        problem.check(problem.run(row(), pool), stored());
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(LinearRow, DoesNotDependOnTheNumberOfThreads) {
  for (const std::int64_t m : {1, 8, 50, 300}) {
    const Problem problem(m, 640, 200, "gelu", true, true);
    ThreadPool one(1);
    const std::vector<float> expected = problem.run(row(), one);
    problem.check(expected, stored());
    for (const int threads : {2, 3}) {
      ThreadPool pool(threads);
      EXPECT_EQ(problem.run(row(), pool), expected) << threads << " threads, " << m << " rows";
    }
  }
}

TEST_P(LinearRow, TakesDepthsOfSeveralBlocks) {
  ThreadPool pool(2);
  for (const std::int64_t m : {1, 13, 40}) {
    const Problem problem(m, 2500, 72, "", true, false);
    problem.check(problem.run(row(), pool), stored());
  }
}

TEST_P(LinearRow, AnswersNoRowsAndNoDepth) {
  ThreadPool pool(2);
  const Problem no_rows(0, 5, 7, "", false, false);
  EXPECT_TRUE(no_rows.run(row(), pool).empty());
  const Problem no_depth(3, 0, 7, "", true, false);
  no_depth.check(no_depth.run(row(), pool), stored());
}

TEST_P(LinearRow, PassesNanOnInItsRowOnly) {
  ThreadPool pool(2);
  for (const std::string_view activation : {"", "gelu", "gelu_tanh", "silu"}) {
    Problem problem(3, 65, 70, activation, false, false);
    problem.x[65 + 40] = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> y = problem.run(row(), pool);
    for (std::size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / 70 == 1) << i;
  }
}

TEST_P(LinearRow, RefusesWhatItCannotDo) {
  const Problem problem(2, 8, 8, "", true, true);
  const auto accepts = [&](auto&& change) {
    StepDescription step = problem.describe(row().weight_format);
    change(step);
    return row().accepts(step);
  };
  EXPECT_TRUE(accepts([](StepDescription&) {}));
  EXPECT_FALSE(accepts([](StepDescription& step) { step.inputs[0].dtype = DType::i32; }));
  EXPECT_FALSE(accepts([](StepDescription& step) { step.inputs[1].format = "other"; }));
  EXPECT_FALSE(accepts([](StepDescription& step) { step.inputs[1].shape = {9, 8}; }));
  EXPECT_FALSE(accepts([](StepDescription& step) { step.inputs[2].shape = {9}; }));
  EXPECT_FALSE(accepts([](StepDescription& step) { step.outputs.clear(); }));
  const Attributes unknown = {{"activation", std::string("swish2")}};
  EXPECT_FALSE(accepts([&](StepDescription& step) { step.attributes = &unknown; }));
}

std::vector<std::string_view> linear_row_names() {
  std::vector<std::string_view> names;
  for (const KernelRow& row : cpu::linear_rows()) {
    if (row.op == "tenon.Linear") names.push_back(row.name);
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(Rows, LinearRow, testing::ValuesIn(linear_row_names()),
                         [](const auto& tested) { return std::string(tested.param); });

}  // namespace
}  // namespace tenon::kernels
