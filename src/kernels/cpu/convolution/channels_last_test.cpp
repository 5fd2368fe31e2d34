// Every row of tenon.Conv against sums in double, on odd sizes, with guard bytes after output and
// workspace.
#include <limits>

#include <gtest/gtest.h>

#include "kernels/cpu/convolution/channels_last_expected.h"

namespace tenon::kernels {
namespace {

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
