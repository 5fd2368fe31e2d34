// The plain convolutions on cases small enough to work out by hand, and against plain loops.
#include "kernels/cpu/convolution/reference.h"

#include <gtest/gtest.h>

#include "kernels/reference_test_support.h"

namespace tenon::kernels {
namespace {

using namespace kernels::testing;
using Ints = std::vector<std::int64_t>;

const Tensor kLine = f32({1, 1, 4}, {1, 2, 3, 4});
const Tensor kPair = f32({1, 1, 2}, {10, 1});
const Tensor kSquare = f32({1, 1, 2, 2}, {1, 2, 3, 4});

std::vector<RowCase> conv_cases() {
  return {
      {"conv_reference", {kLine, kPair}, {}, {f32({1, 1, 3}, {12, 23, 34})}},
      {"conv_reference",
       {kLine, kPair, f32({1}, {100})},
       {{"strides", Ints{2}}, {"pads", Ints{1, 1}}},
       {f32({1, 1, 3}, {101, 123, 140})}},
      {"conv_reference", {kLine, kPair}, {{"dilations", Ints{2}}}, {f32({1, 1, 2}, {13, 24})}},
      {"conv_reference",
       {kLine, kPair},
       {{"auto_pad", std::string("SAME_UPPER")}},
       {f32({1, 1, 4}, {12, 23, 34, 40})}},
      {"conv_reference",
       {kLine, kPair},
       {{"auto_pad", std::string("SAME_LOWER")}},
       {f32({1, 1, 4}, {1, 12, 23, 34})}},
      // two groups of one channel each, two output channels a group
      {"conv_reference",
       {f32({1, 2, 1}, {3, 5}), f32({4, 1, 1}, {1, 2, 10, 20})},
       {{"group", std::int64_t{2}}},
       {f32({1, 4, 1}, {3, 6, 50, 100})}},
      // float32 sums in order would lose the ones beside 2^24
      {"conv_reference",
       {f32({1, 4, 1}, {16777216, 1, 1, -16777216}), f32({1, 4, 1}, {1, 1, 1, 1})},
       {},
       {f32({1, 1, 1}, {2})}},
      {"conv_reference", {f32({0, 1, 4}, {}), kPair}, {}, {f32({0, 1, 3}, {})}},
      {"conv_transpose_reference", {kLine, kPair}, {}, {f32({1, 1, 5}, {10, 21, 32, 43, 4})}},
      {"conv_transpose_reference",
       {kLine, kPair, f32({1}, {100})},
       {{"strides", Ints{3}}, {"output_padding", Ints{1}}},
       {f32({1, 1, 12}, {110, 101, 100, 120, 102, 100, 130, 103, 100, 140, 104, 100})}},
      {"conv_transpose_reference",
       {kLine, kPair},
       {{"strides", Ints{2}}, {"pads", Ints{1, 1}}},
       {f32({1, 1, 6}, {1, 20, 2, 30, 3, 40})}},
      {"conv_transpose_reference",
       {kLine, kPair},
       {{"strides", Ints{2}}, {"dilations", Ints{2}}},
       {f32({1, 1, 9}, {10, 0, 21, 0, 32, 0, 43, 0, 4})}},
      {"conv_transpose_reference",
       {kLine, kPair},
       {{"output_shape", Ints{4}}, {"auto_pad", std::string("SAME_UPPER")}},
       {f32({1, 1, 4}, {10, 21, 32, 43})}},
      {"conv_transpose_reference",
       {kSquare, f32({1, 1, 1, 2}, {1, 10})},
       {{"strides", Ints{2, 1}}},
       {f32({1, 1, 3, 3}, {1, 12, 20, 0, 0, 0, 3, 34, 40})}},
  };
}

TEST(ConvolutionReference, RowsGiveWhatIsExpected) {
  for (const RowCase& test : conv_cases()) {
    const bool plain = test.row == "conv_reference";
    check(plain ? cpu::convolution::reference_conv_rows()
                : cpu::convolution::reference_conv_transpose_rows(),
          test);
  }
}

// More places and channels than a block holds, in three dimensions.
TEST(ConvolutionReference, BlocksAgreeWithPlainLoops) {
  constexpr std::int64_t kIn = 3, kOut = 37, kDepth = 3, kHeight = 9, kWidth = 17;
  std::vector<double> x, w, y;
  for (std::int64_t i = 0; i < kIn * kDepth * kHeight * kWidth; ++i)
    x.push_back(static_cast<double>(i * 37 % 101) / 16 - 3);
  for (std::int64_t i = 0; i < kOut * kIn * 8; ++i)
    w.push_back(static_cast<double>(i * 29 % 103) / 32 - 1.5);
  const auto at = [&](std::int64_t c, std::int64_t d, std::int64_t h, std::int64_t v) {
    const bool inside = d >= 0 && d < kDepth && h >= 0 && h < kHeight && v >= 0 && v < kWidth;
    return inside ? x[static_cast<std::size_t>(((c * kDepth + d) * kHeight + h) * kWidth + v)] : 0;
  };
  for (std::int64_t m = 0; m < kOut; ++m) {
    for (std::int64_t place = 0; place < kDepth * kHeight * kWidth; ++place) {
      double sum = 0;
      for (std::int64_t c = 0; c < kIn; ++c) {
        for (std::int64_t tap = 0; tap < 8; ++tap) {
          sum += w[static_cast<std::size_t>((m * kIn + c) * 8 + tap)] *
                 at(c, place / (kHeight * kWidth) + tap / 4 - 1,
                    place / kWidth % kHeight + tap / 2 % 2 * 2 - 1, place % kWidth + tap % 2);
        }
      }
      y.push_back(sum);
    }
  }
  // Products of the numbers above and their sums have few enough bits for float64 to be exact.
  check(cpu::convolution::reference_conv_rows(),
        {"conv_reference",
         {f32({1, kIn, kDepth, kHeight, kWidth}, x), f32({kOut, kIn, 2, 2, 2}, w)},
         {{"pads", Ints{1, 1, 0, 0, 1, 1}}, {"dilations", Ints{1, 2, 1}}},
         {f32({1, kOut, kDepth, kHeight, kWidth}, y)}});
}

}  // namespace
}  // namespace tenon::kernels
