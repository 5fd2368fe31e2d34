// Every image row on cases small enough to work out by hand.
#include <gtest/gtest.h>

#include "kernels/cpu/tables.h"
#include "kernels/reference_test_support.h"

namespace tenon::kernels {
namespace {

using namespace kernels::testing;
using Ints = std::vector<std::int64_t>;

std::int64_t num(std::int64_t value) { return value; }
std::string word(const char* text) { return text; }
constexpr auto kNone = std::nullopt;

const Tensor kPair = f32({1, 2}, {1, 3});
const Tensor kLine = f32({4}, {1, 2, 3, 4});

std::vector<RowCase> resize_cases() {
  const Attributes linear = {{"mode", word("linear")}};
  const Attributes smooth = {{"mode", word("linear")}, {"antialias", num(1)}};
  const Attributes crop = {{"mode", word("linear")},
                           {"coordinate_transformation_mode", word("tf_crop_and_resize")},
                           {"extrapolation_value", 9.0F}};
  const Attributes cubic = {{"mode", word("cubic")},
                            {"coordinate_transformation_mode", word("asymmetric")}};
  const Attributes largest = {{"keep_aspect_ratio_policy", word("not_larger")}};
  return {
      {"resize_reference",
       {tensor(DType::i8, {1, 2}, {1, 3}), kNone, f32({2}, {2, 2})},
       {},
       {tensor(DType::i8, {2, 4}, {1, 1, 3, 3, 1, 1, 3, 3})}},
      {"resize_reference",
       {kPair, kNone, f32({2}, {1, 2})},
       linear,
       {f32({1, 4}, {1, 1.5, 2.5, 3})}},
      {"resize_reference",
       {kPair, kNone, kNone, i64({1}, {3})},
       {{"mode", word("linear")},
        {"coordinate_transformation_mode", word("align_corners")},
        {"axes", Ints{-1}}},
       {f32({1, 3}, {1, 2, 3})}},
      // weights 1/4, 3/4, 3/4, 1/4 over twice their sum, the edge repeated
      {"resize_reference", {kLine, kNone, f32({1}, {0.5})}, smooth, {f32({2}, {1.625, 3.375})}},
      {"resize_reference",
       {kLine, f32({2}, {0, 2}), kNone, i64({1}, {3})},
       crop,
       {f32({3}, {1, 4, 9})}},
      // at halves Keys' weights with a = -3/4 are -3/32, 19/32, 19/32, -3/32
      {"resize_reference",
       {kLine, kNone, f32({1}, {2})},
       cubic,
       {f32({8}, {1, 1.40625, 2, 2.5, 3, 3.59375, 4, 4.09375})}},
      {"resize_reference",
       {f32({2, 1}, {5, 6}), kNone, kNone, i64({2}, {4, 9})},
       largest,
       {f32({4, 2}, {5, 5, 5, 5, 6, 6, 6, 6})}},
      {"resize_reference", {f32({0}, {}), kNone, kNone, i64({1}, {2})}, {}, {f32({2}, {0, 0})}},
  };
}

std::vector<RowCase> sample_cases() {
  const Tensor x = f32({1, 1, 1, 2}, {10, 20});
  const Tensor grid = f32({1, 1, 4, 2}, {-1, 0, 0, 0, 1, 0, 3, 0});
  const auto attributes = [](const char* mode, const char* padding) {
    return Attributes{
        {"mode", word(mode)}, {"padding_mode", word(padding)}, {"align_corners", num(1)}};
  };
  const Tensor channels = f32({1, 8, 1, 1}, {0, 1, 2, 3, 4, 5, 6, 7});
  const Tensor blocks = f32({1, 2, 2, 2}, {0, 2, 4, 6, 1, 3, 5, 7});
  return {
      {"grid_sample_reference",
       {x, grid},
       attributes("linear", "zeros"),
       {f32({1, 1, 1, 4}, {10, 15, 20, 0})}},
      {"grid_sample_reference",
       {x, grid},
       attributes("nearest", "border"),
       {f32({1, 1, 1, 4}, {10, 10, 20, 20})}},
      {"grid_sample_reference",
       {x, grid},
       attributes("linear", "reflection"),
       {f32({1, 1, 1, 4}, {10, 15, 20, 10})}},
      {"grid_sample_reference",
       {f32({1, 1, 2}, {10, 20}), f32({1, 2, 1}, {std::nan(""), 1e30})},
       attributes("nearest", "border"),
       {f32({1, 1, 2}, {10, 20})}},
      {"depth_to_space_reference", {channels}, {{"blocksize", num(2)}}, {blocks}},
      {"depth_to_space_reference",
       {channels},
       {{"blocksize", num(2)}, {"mode", word("CRD")}},
       {f32({1, 2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7})}},
      {"space_to_depth_reference", {blocks}, {{"blocksize", num(2)}}, {channels}},
  };
}

std::vector<RowCase> all_cases() {
  std::vector<RowCase> cases = resize_cases();
  const auto more = sample_cases();
  cases.insert(cases.end(), more.begin(), more.end());
  return cases;
}

TEST(Image, RowsGiveWhatIsExpected) {
  for (const RowCase& test : all_cases()) check(cpu::image_rows(), test);
}

TEST(Image, EveryRowIsTested) { expect_all_covered(cpu::image_rows(), all_cases()); }

}  // namespace
}  // namespace tenon::kernels
