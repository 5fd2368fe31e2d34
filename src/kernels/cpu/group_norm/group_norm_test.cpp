// Every row of tenon.GroupScale and tenon.ScaleShift against values in double.
#include <cmath>

#include <gtest/gtest.h>

#include "kernels/cpu/linear/exact_activation.h"
#include "kernels/cpu/linear/linear_harness.h"

namespace tenon::kernels {
namespace {

struct Pictures {
  Pictures(std::int64_t images, std::int64_t pixels, std::int64_t channels, float mean,
           unsigned seed)
      : n(images),
        p(pixels),
        c(channels),
        values(random_floats(static_cast<std::size_t>(n * p * c), seed)) {
    for (float& value : values) value += mean;
  }
  double at(std::int64_t image, std::int64_t pixel, std::int64_t channel) const {
    return static_cast<double>(values[static_cast<std::size_t>((image * p + pixel) * c + channel)]);
  }
  Shape shape() const { return {n, p, c}; }
  TensorView view() const {
    return {DType::f32, shape(),
            values.empty() ? nullptr : std::as_bytes(std::span(values)).data()};
  }
  std::int64_t n;
  std::int64_t p;
  std::int64_t c;
  std::vector<float> values;
};

TensorView view_of(const std::vector<float>& values, Shape shape) {
  return {DType::f32, std::move(shape), std::as_bytes(std::span(values)).data()};
}

/// Runs a row on dense operands; a view without data is absent.
std::vector<float> run_row(const KernelRow& row, const Attributes& attributes,
                           const std::vector<TensorView>& inputs, const Shape& result,
                           ThreadPool& pool) {
  StepDescription step{.op = row.op, .attributes = &attributes, .inputs = {}, .outputs = {}};
  std::vector<Shape> shapes;
  for (const TensorView& input : inputs) {
    Shape known = input.shape;
    if (known.size() == 3) known[1] = known[1] == 2 ? 2 : -1;
    step.inputs.push_back({input.dtype, known, false, input.data != nullptr, ""});
    shapes.push_back(input.shape);
  }
  step.outputs.push_back({DType::f32, result, false, true, ""});
  EXPECT_TRUE(row.accepts(step));
  std::vector<float> y(static_cast<std::size_t>(element_count(result)) + 16, -77.0F);
  const std::vector<MutableTensorView> outputs = {
      {DType::f32, result, reinterpret_cast<std::byte*>(y.data())}};
  constexpr std::size_t kGuard = 64;
  const std::size_t needed =
      row.workspace == nullptr ? 0 : row.workspace(step, shapes, pool.size());
  Tensor workspace(DType::u8, {static_cast<std::int64_t>(needed + kGuard)});
  std::fill_n(workspace.data(), workspace.bytes(), std::byte{0xff});
  row.bind(step)({inputs, outputs, workspace.data(), &pool, nullptr});
  for (std::size_t i = 0; i < kGuard; ++i) {
    EXPECT_EQ(workspace.data()[needed + i], std::byte{0xff}) << "written beyond the workspace";
  }
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(y.back(), -77.0F) << "written beyond the output";
    y.pop_back();
  }
  return y;
}

class Row : public testing::TestWithParam<std::string_view> {
 protected:
  void SetUp() override {
    if (row().isa > native_isa()) GTEST_SKIP() << GetParam() << " needs " << isa_name(row().isa);
  }
  const KernelRow& row() const {
    for (const KernelRow& row : cpu::group_norm_rows()) {
      if (row.name == GetParam()) return row;
    }
    fail(ErrorCode::internal, "no row {}", GetParam());
  }
};

class GroupScaleRow : public Row {
 protected:
  // Rows may sum up to 64 distances from a shift near the mean in float: each distance, square and
  // addition rounds by 2^-24, so the sum of squares is off by 67 of these (the shift stands at most
  // a deviation from the mean, which doubles the squares; the root halves the error again), and the
  // mean by 64 of them, of the mean distance.
  void check(std::int64_t images, std::int64_t pixels, std::int64_t channels,
             std::int64_t channels2, std::int64_t groups, float mean) {
    const Pictures x(images, pixels, channels, mean, 1);
    const Pictures x2(images, pixels, channels2, 2.0F * mean, 2);
    const std::int64_t all = channels + channels2;
    const auto gamma = random_floats(static_cast<std::size_t>(all), 3);
    const auto beta = random_floats(static_cast<std::size_t>(all), 4);
    const Attributes attributes = {{"num_groups", groups}, {"epsilon", 1e-5F}};
    ThreadPool pool(2);
    const auto y = run_row(row(), attributes,
                           {x.view(), view_of(gamma, {all}), view_of(beta, {all}), x2.view()},
                           {images, 2, all}, pool);
    const std::int64_t width = all / groups;
    for (std::int64_t unit = 0; unit < images * groups; ++unit) {
      const std::int64_t image = unit / groups;
      const std::int64_t first = unit % groups * width;
      const auto each = [&](auto&& body) {
        for (std::int64_t p = 0; p < pixels; ++p) {
          for (std::int64_t c = first; c < first + width; ++c) {
            body(c < channels ? x.at(image, p, c) : x2.at(image, p, c - channels));
          }
        }
      };
      const auto count = static_cast<double>(pixels * width);
      double sum = 0.0;
      each([&](double value) { sum += value; });
      const double exact_mean = sum / count;
      double squares = 0.0;
      each([&](double value) { squares += (value - exact_mean) * (value - exact_mean); });
      const double inverse = 1.0 / std::sqrt(squares / count + 1e-5);
      const double relative = 68.0 * 0x1p-24;
      const double moved = 2.0 / inverse * relative;
      for (std::int64_t c = first; c < first + width; ++c) {
        const auto at = static_cast<std::size_t>(image * 2 * all + c);
        const double scale = static_cast<double>(gamma[static_cast<std::size_t>(c)]) * inverse;
        const double shift =
            static_cast<double>(beta[static_cast<std::size_t>(c)]) - exact_mean * scale;
        const double off = relative * std::fabs(scale) + 1e-30;
        ASSERT_NEAR(static_cast<double>(y[at]), scale, off) << pixels << " pixels, channel " << c;
        ASSERT_NEAR(static_cast<double>(y[at + static_cast<std::size_t>(all)]), shift,
                    off * std::fabs(exact_mean) + moved * std::fabs(scale) +
                        std::fabs(shift) * 0x1p-24 + 1e-30)
            << pixels << " pixels, channel " << c;
      }
    }
  }
};

TEST_P(GroupScaleRow, AgreesOnOddSizes) {
  for (const std::int64_t pixels : {1, 2, 7, 64, 1000}) {
    check(2, pixels, 1, 0, 1, 0.0F);
    check(1, pixels, 6, 0, 2, 1.0F);
    check(2, pixels, 33, 0, 3, -1.0F);
    check(1, pixels, 320, 0, 32, 0.5F);
    check(2, pixels, 5, 7, 3, 0.0F);
    check(1, pixels, 40, 24, 4, 3.0F);
    check(1, pixels, 65, 127, 192, 0.0F);
    if (HasFatalFailure()) return;
  }
}

// A mean 4096 deviations from 0: sums of squares about 0 in float would lose the variance.
TEST_P(GroupScaleRow, KeepsAVarianceFarFromZero) {
  check(1, 5000, 8, 0, 4, -30000.0F);
  check(1, 500, 64, 0, 4, 4096.0F);
  check(2, 500, 40, 24, 2, 0.0F);
}

TEST_P(GroupScaleRow, DoesNotDependOnTheNumberOfThreads) {
  const Pictures x(2, 3000, 24, 1.0F, 1);
  const auto affine = random_floats(24, 3);
  const Attributes attributes = {{"num_groups", std::int64_t{4}}};
  const std::vector<TensorView> inputs = {x.view(), view_of(affine, {24}), view_of(affine, {24})};
  ThreadPool one(1);
  const auto expected = run_row(row(), attributes, inputs, {2, 2, 24}, one);
  for (const int threads : {2, 3, 7}) {
    ThreadPool pool(threads);
    EXPECT_EQ(run_row(row(), attributes, inputs, {2, 2, 24}, pool), expected) << threads;
  }
}

class ScaleShiftRow : public Row {};

TEST_P(ScaleShiftRow, AgreesWithEachActivation) {
  ThreadPool pool(2);
  for (const std::string name : {"", "relu", "gelu", "gelu_tanh", "silu"}) {
    for (const std::int64_t channels : {1, 5, 16, 33, 320}) {
      for (const std::int64_t pixels : {1, 3, 700}) {
        const Pictures x(2, pixels, channels, 0.0F, 5);
        const auto scale = random_floats(static_cast<std::size_t>(4 * channels), 6);
        const Attributes attributes = {{"activation", name}};
        const auto y = run_row(row(), attributes, {x.view(), view_of(scale, {2, 2, channels})},
                               x.shape(), pool);
        for (std::size_t i = 0; i < y.size(); ++i) {
          const auto c = i % static_cast<std::size_t>(channels);
          const std::size_t image = i / static_cast<std::size_t>(channels * pixels);
          const std::size_t at = image * 2 * static_cast<std::size_t>(channels) + c;
          const double product = static_cast<double>(x.values[i]) * static_cast<double>(scale[at]);
          const double exact =
              product + static_cast<double>(scale[at + static_cast<std::size_t>(channels)]);
          const double expected =
              cpu::linear::activate(cpu::linear::parse_activation(name).value(), exact);
          // One fused or two separate roundings, then the activation's own error (4e-7 |x|) on a
          // slope of at most 1.13.
          const double allowed =
              1.13 * 0x1p-23 * (std::fabs(product) + std::fabs(exact)) + 4e-7 * std::fabs(exact);
          ASSERT_NEAR(static_cast<double>(y[i]), expected, allowed + 1e-30) << name << " at " << i;
        }
      }
    }
  }
}

std::vector<std::string_view> names_of(std::string_view op) {
  std::vector<std::string_view> names;
  for (const KernelRow& row : cpu::group_norm_rows()) {
    if (row.op == op) names.push_back(row.name);
  }
  return names;
}
const auto kName = [](const auto& tested) { return std::string(tested.param); };

INSTANTIATE_TEST_SUITE_P(Rows, GroupScaleRow, testing::ValuesIn(names_of("tenon.GroupScale")),
                         kName);
INSTANTIATE_TEST_SUITE_P(Rows, ScaleShiftRow, testing::ValuesIn(names_of("tenon.ScaleShift")),
                         kName);

}  // namespace
}  // namespace tenon::kernels
