// Every row of tenon.Conv against sums in double, on odd sizes, with guard bytes after output and
// workspace.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "kernels/cpu/convolution/channels_last_harness.h"
#include "kernels/cpu/linear/exact_activation.h"

namespace tenon::kernels {
namespace {

// The picture that the kernel slides over, and how far each value may be off before any product:
// the prologue rounds a product and a sum, its silu has a slope of at most 1.1 and an error of
// 1.3e-7 |x|.
struct Slab {
  std::int64_t height;
  std::int64_t width;
  std::int64_t channels;
  std::vector<double> value;
  std::vector<double> error;
};

Slab slab_of(const ConvProblem& problem) {
  const ConvCase& c = problem.c;
  Slab slab{c.height * c.upsample + c.pads[0] + c.pads[2],
            c.width * c.upsample + c.pads[1] + c.pads[3],
            c.all_channels(),
            {},
            {}};
  const auto count = static_cast<std::size_t>(c.images * slab.height * slab.width * slab.channels);
  slab.value.assign(count, 0.0);
  slab.error.assign(count, 0.0);
  for (std::int64_t n = 0; n < c.images; ++n) {
    for (std::int64_t y = 0; y < c.height * c.upsample; ++y) {
      for (std::int64_t x = 0; x < c.width * c.upsample; ++x) {
        for (std::int64_t ch = 0; ch < slab.channels; ++ch) {
          const std::int64_t pixel = (n * c.height + y / c.upsample) * c.width + x / c.upsample;
          const bool first = ch < c.channels;
          double value = static_cast<double>(problem.data[first ? 0 : 6][static_cast<std::size_t>(
              first ? pixel * c.channels + ch : pixel * c.channels2 + ch - c.channels)]);
          double error = 0.0;
          if (c.scale_shift) {
            const auto at = static_cast<std::size_t>(n * 2 * slab.channels + ch);
            const double product = value * static_cast<double>(problem.data[5][at]);
            value = product + static_cast<double>(
                                  problem.data[5][at + static_cast<std::size_t>(slab.channels)]);
            error = static_cast<double>(kFp32Half) * (std::fabs(product) + std::fabs(value));
          }
          if (c.input_silu) {
            error = 1.1 * error + 2e-7 * std::fabs(value);
            value = value / (1.0 + std::exp(-value));
          }
          const auto at = static_cast<std::size_t>(
              ((n * slab.height + y + c.pads[0]) * slab.width + x + c.pads[1]) * slab.channels +
              ch);
          slab.value[at] = value;
          slab.error[at] = error;
        }
      }
    }
  }
  return slab;
}

/// Half the step that int8 inputs of each image have.
std::vector<double> half_steps(const Slab& slab, std::int64_t images) {
  std::vector<double> steps;
  const std::size_t size = slab.value.size() / static_cast<std::size_t>(images);
  for (std::size_t i = 0; i < slab.value.size(); i += size) {
    double low = 0.0;
    double high = 0.0;
    for (std::size_t j = i; j < i + size; ++j) {
      low = std::min(low, slab.value[j]);
      high = std::max(high, slab.value[j]);
    }
    steps.push_back(0.5 * (high - low) / 255.0 * 1.001);
  }
  return steps;
}

std::vector<float> run(const ConvProblem& problem, const KernelRow& row, ThreadPool& pool) {
  const StepDescription step = problem.describe(row.weight_format);
  EXPECT_TRUE(row.accepts(step));
  const Tensor weight = problem.packed(row, pool);
  const auto inputs = problem.inputs(weight);
  constexpr std::size_t kGuard = 64;
  std::vector<float> y(static_cast<std::size_t>(element_count(problem.result_shape())) + kGuard,
                       -77.0F);
  const std::vector<MutableTensorView> outputs = {
      {DType::f32, problem.result_shape(), reinterpret_cast<std::byte*>(y.data())}};
  const std::size_t needed =
      row.workspace == nullptr ? 0 : row.workspace(step, problem.shapes(), pool.size());
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

// What may differ from the exact result:
//   any format: one addition and product in float for each of the depth, half a unit of the running
//   sum each, and the errors of the prologue;
//   bf16: both operands rounded to 8 bits;
//   int8: operands at most half a step of their scale off, inputs at an end of the range a whole
//   step.
// Activations have a slope of at most 1.13 and 4e-7 relative error of their own.
void check(const ConvProblem& problem, const std::vector<float>& y, DType stored) {
  const ConvCase& c = problem.c;
  const Slab slab = slab_of(problem);
  const std::vector<double> x_half = half_steps(slab, c.images);
  const std::int64_t in_group = c.all_channels() / c.group;
  for (std::int64_t row = 0; row < c.images * c.out_pixels(); ++row) {
    const std::int64_t n = row / c.out_pixels();
    const std::int64_t oy = row % c.out_pixels() / c.out_size(1);
    const std::int64_t ox = row % c.out_size(1);
    for (std::int64_t m = 0; m < c.columns; ++m) {
      const std::int64_t group = m / (c.columns / c.group);
      double sum = 0.0;
      double magnitude = 0.0;
      double allowed = 0.0;
      double inputs = 0.0;
      double weights = 0.0;
      double largest = 0.0;
      for (std::int64_t k = 0; k < c.depth(); ++k) {
        const std::int64_t tap = k / in_group;
        const std::int64_t sy = oy * c.stride + tap / c.kernel * c.dilation;
        const std::int64_t sx = ox * c.stride + tap % c.kernel * c.dilation;
        const auto at =
            static_cast<std::size_t>(((n * slab.height + sy) * slab.width + sx) * slab.channels +
                                     group * in_group + k % in_group);
        const double w =
            static_cast<double>(problem.data[1][static_cast<std::size_t>(k * c.columns + m)]);
        sum += slab.value[at] * w;
        magnitude += std::fabs(slab.value[at] * w);
        allowed += slab.error[at] * std::fabs(w);
        inputs += std::fabs(slab.value[at]);
        weights += std::fabs(w);
        largest = std::max(largest, std::fabs(w));
      }
      const auto depth = static_cast<double>(c.depth());
      if (stored == DType::bf16)
        allowed += magnitude * (2.0 * static_cast<double>(kBf16Half) + 1e-4);
      if (stored == DType::i8) {
        const double x_step = 2.0 * x_half[static_cast<std::size_t>(n)];
        const double w_half = 0.5 * largest / 127.0 * 1.001;
        allowed += x_step * weights + w_half * (inputs + depth * x_step);
      }
      allowed += magnitude * (depth + 4.0) * static_cast<double>(kFp32Half);
      const auto extra = [&](std::size_t index, std::int64_t at) {
        return problem.data[index].empty()
                   ? 0.0
                   : static_cast<double>(problem.data[index][static_cast<std::size_t>(at)]);
      };
      const double bias = extra(2, m);
      const double image_bias = extra(4, n * c.columns + m);
      allowed += 2.0 * static_cast<double>(kFp32Half) *
                 (std::fabs(sum) + std::fabs(bias) + std::fabs(image_bias));
      sum += bias + image_bias;
      if (!c.activation.empty()) allowed = 1.13 * allowed + 4e-7 * std::fabs(sum);
      const double expected =
          cpu::linear::activate(cpu::linear::parse_activation(c.activation).value(), sum) +
          extra(3, row * c.columns + m);
      allowed += std::fabs(expected) * static_cast<double>(kFp32Half) + 1e-30;
      const auto at = static_cast<std::size_t>(row * c.columns + m);
      ASSERT_LE(std::fabs(static_cast<double>(y[at]) - expected), allowed)
          << "picture " << n << " row " << oy << " column " << ox << " channel " << m << ": "
          << y[at] << " instead of " << expected;
    }
  }
}

class ConvRow : public testing::TestWithParam<std::string_view> {
 protected:
  void SetUp() override {
    if (row().isa > native_isa()) GTEST_SKIP() << GetParam() << " needs " << isa_name(row().isa);
  }
  const KernelRow& row() const {
    for (const KernelRow& row : cpu::channels_last_convolution_rows()) {
      if (row.name == GetParam()) return row;
    }
    fail(ErrorCode::internal, "no row {}", GetParam());
  }
  bool is_depthwise() const { return GetParam().find("depthwise") != std::string_view::npos; }
  DType stored() const {
    const PackedFormat* format = format_named(row().weight_format);
    return format == nullptr ? DType::f32 : format->dtype;
  }
  void check_case(ConvCase made, ThreadPool& pool) {
    if (is_depthwise()) {
      made.group = made.all_channels();
      made.columns = made.all_channels();
    }
    SCOPED_TRACE(testing::Message()
                 << made.images << " x " << made.height << " x " << made.width << " x "
                 << made.channels << "+" << made.channels2 << " -> " << made.columns << ", kernel "
                 << made.kernel << " stride " << made.stride << " dilation " << made.dilation
                 << " upsample " << made.upsample);
    const ConvProblem problem(made);
    check(problem, run(problem, row(), pool), stored());
  }
};

TEST_P(ConvRow, AgreesOnOddSizes) {
  ThreadPool pool(2);
  for (const std::int64_t channels : {1, 2, 3, 4, 5, 33, 64}) {
    for (const std::int64_t columns : {1, 3, 64, 65}) {
      check_case({.images = 2,
                  .height = 5,
                  .width = 7,
                  .channels = channels,
                  .columns = columns,
                  .kernel = 3,
                  .pads = {1, 1, 1, 1},
                  .bias = true},
                 pool);
      check_case({.height = 3, .width = 3, .channels = channels, .columns = columns}, pool);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(ConvRow, FollowsEachGeometry) {
  ThreadPool pool(2);
  for (const std::int64_t channels : {3, 32, 40}) {
    const ConvCase base{.images = 2, .height = 9, .width = 8, .channels = channels, .columns = 70};
    for (const std::int64_t kernel : {1, 2, 3, 5}) {
      for (const std::int64_t stride : {1, 2, 3}) {
        for (const std::int64_t dilation : {1, 2}) {
          ConvCase made = base;
          made.kernel = kernel;
          made.stride = stride;
          made.dilation = dilation;
          for (const auto& pads :
               std::vector<std::vector<std::int64_t>>{{0, 0, 0, 0}, {0, 0, 1, 1}, {2, 1, 0, 3}}) {
            made.pads = pads;
            if (made.axis(1).reach(1) > 8 + pads[1] + pads[3]) continue;
            check_case(made, pool);
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

TEST_P(ConvRow, TakesPicturesOfOnePixel) {
  ThreadPool pool(2);
  for (const std::int64_t kernel : {1, 3}) {
    const std::int64_t pad = kernel / 2;
    check_case({.images = 3,
                .channels = 96,
                .columns = 130,
                .kernel = kernel,
                .pads = {pad, pad, pad, pad}},
               pool);
  }
}

TEST_P(ConvRow, EnlargesAndJoinsAndScales) {
  ThreadPool pool(2);
  for (const std::int64_t channels2 : {0, 1, 24, 32}) {
    for (const std::int64_t upsample : {1, 2}) {
      for (const bool scale_shift : {false, true}) {
        for (const bool input_silu : {false, true}) {
          for (const std::int64_t kernel : {1, 3}) {
            const std::int64_t pad = kernel / 2;
            check_case({.images = 2,
                        .height = 4,
                        .width = 5,
                        .channels = 40,
                        .columns = 20,
                        .kernel = kernel,
                        .pads = {pad, pad, pad, pad},
                        .upsample = upsample,
                        .channels2 = channels2,
                        .scale_shift = scale_shift,
                        .input_silu = input_silu},
                       pool);
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

TEST_P(ConvRow, AppliesEachEpilogue) {
  ThreadPool pool(2);
  for (const std::string activation : {"", "relu", "gelu", "gelu_tanh", "silu"}) {
    for (int parts = 0; parts < 8; ++parts) {
      check_case({.images = 2,
                  .height = 3,
                  .width = 3,
                  .channels = 12,
                  .columns = 77,
                  .kernel = 3,
                  .pads = {1, 1, 1, 1},
                  .bias = (parts & 1) != 0,
                  .residual = (parts & 2) != 0,
                  .image_bias = (parts & 4) != 0,
                  .activation = activation},
                 pool);
      if (HasFatalFailure()) return;
    }
  }
}

// Depths of several blocks, pixels of several shares, and slabs of several bands.
TEST_P(ConvRow, CutsLargeWork) {
  ThreadPool pool(2);
  check_case(
      {.height = 8, .width = 8, .channels = 640, .columns = 72, .kernel = 3, .pads = {1, 1, 1, 1}},
      pool);
  check_case({.images = 3,
              .height = 20,
              .width = 23,
              .channels = 32,
              .columns = 9,
              .kernel = 3,
              .pads = {1, 1, 1, 1},
              .image_bias = true,
              .scale_shift = true},
             pool);
}

// Slabs of 6 (int8), 13 and 26 MB a picture: apart from one another, or in two and three parts.
TEST_P(ConvRow, CutsLargePictures) {
  if (GetParam() == "conv_channels_last_reference") GTEST_SKIP() << "has no slab";
  ThreadPool pool(2);
  check_case({.images = 2,
              .height = 301,
              .width = 340,
              .channels = 64,
              .columns = 1,
              .kernel = 3,
              .pads = {1, 1, 1, 1},
              .residual = true,
              .image_bias = true,
              .scale_shift = true},
             pool);
}

TEST_P(ConvRow, DoesNotDependOnTheNumberOfThreads) {
  ConvCase made{.images = 2,
                .height = 16,
                .width = 17,
                .channels = 64,
                .columns = 200,
                .kernel = 3,
                .pads = {1, 1, 1, 1},
                .image_bias = true,
                .scale_shift = true,
                .input_silu = true};
  if (is_depthwise()) made.group = made.columns = made.channels;
  const ConvProblem problem(made);
  ThreadPool one(1);
  const std::vector<float> expected = run(problem, row(), one);
  for (const int threads : {2, 3, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(run(problem, row(), pool), expected) << threads << " threads";
  }
}

TEST_P(ConvRow, AnswersNoPictures) {
  ThreadPool pool(2);
  ConvCase made{.images = 0, .height = 4, .width = 4, .channels = 8, .columns = 8, .kernel = 3};
  if (is_depthwise()) made.group = 8;
  EXPECT_TRUE(run(ConvProblem(made), row(), pool).empty());
}

TEST_P(ConvRow, PassesNanOnWhereItReaches) {
  if (stored() == DType::i8) GTEST_SKIP() << "int8 has one scale a picture";
  ThreadPool pool(2);
  for (const std::int64_t channels : {3, 32}) {
    ConvCase made{.height = 9,
                  .width = 9,
                  .channels = channels,
                  .columns = 66,
                  .kernel = 3,
                  .pads = {1, 1, 1, 1},
                  .input_silu = true};
    if (is_depthwise()) made.group = made.columns = channels;
    ConvProblem problem(made);
    const std::int64_t in_groups = is_depthwise() ? 1 : channels;
    problem.data[0][static_cast<std::size_t>((4 * 9 + 4) * channels)] =
        std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> y = run(problem, row(), pool);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const auto pixel = static_cast<std::int64_t>(i) / made.columns;
      const auto column = static_cast<std::int64_t>(i) % made.columns;
      const bool near = std::abs(pixel / 9 - 4) <= 1 && std::abs(pixel % 9 - 4) <= 1 &&
                        (in_groups > 1 || column == 0);
      EXPECT_EQ(std::isnan(y[i]), near) << pixel << " " << column;
    }
  }
}

TEST_P(ConvRow, RefusesWhatItCannotDo) {
  ConvCase made{.height = 4, .width = 4, .channels = 8, .columns = 8, .kernel = 3, .bias = true};
  if (is_depthwise()) made.group = 8;
  const ConvProblem problem(made);
  const auto accepts = [&](auto&& change) {
    StepDescription step = problem.describe(row().weight_format);
    change(step);
    return row().accepts(step);
  };
  EXPECT_TRUE(accepts([](StepDescription&) {}));
  EXPECT_FALSE(accepts([](StepDescription& step) { step.inputs[0].dtype = DType::i32; }));
  EXPECT_FALSE(accepts([](StepDescription& step) { step.inputs[0].shape[3] = -1; }));
  EXPECT_FALSE(accepts([](StepDescription& step) { step.inputs[1].format = "other"; }));
  EXPECT_FALSE(accepts([](StepDescription& step) { step.inputs[1].shape[0] = 9 * 9; }));
  EXPECT_FALSE(accepts([](StepDescription& step) { step.inputs[2].shape = {9}; }));
  EXPECT_FALSE(accepts([](StepDescription& step) { step.outputs.clear(); }));
  Attributes enormous = made.attributes();
  enormous.set("pads", std::vector<std::int64_t>{1 << 30, 0, 0, 1 << 30});
  enormous.set("strides", std::vector<std::int64_t>{1 << 30, 1 << 30});
  EXPECT_EQ(accepts([&](StepDescription& step) { step.attributes = &enormous; }),
            GetParam() == "conv_channels_last_reference")
      << "no slab could hold that padding";
  for (const Attributes& wrong :
       {Attributes{{"kernel_shape", std::vector<std::int64_t>{3}}},
        Attributes{{"kernel_shape", std::vector<std::int64_t>{1 << 30, 1 << 30}}},
        Attributes{{"strides", std::vector<std::int64_t>{0, 1}}},
        Attributes{{"activation", std::string("swish2")}}}) {
    EXPECT_FALSE(accepts([&](StepDescription& step) { step.attributes = &wrong; }));
  }
}

std::vector<std::string_view> conv_row_names() {
  std::vector<std::string_view> names;
  for (const KernelRow& row : cpu::channels_last_convolution_rows()) names.push_back(row.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Rows, ConvRow, testing::ValuesIn(conv_row_names()),
                         [](const auto& tested) { return std::string(tested.param); });

}  // namespace
}  // namespace tenon::kernels
