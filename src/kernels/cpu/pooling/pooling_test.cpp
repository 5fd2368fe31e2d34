// Every pooling row on cases small enough to work out by hand.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "kernels/cpu/tables.h"
#include "kernels/reference_test_support.h"

namespace tenon::kernels {
namespace {

using namespace kernels::testing;
using Ints = std::vector<std::int64_t>;

std::int64_t num(std::int64_t value) { return value; }

const Tensor kLine = f32({1, 1, 4}, {1, 4, 2, 3});
const Tensor kSquare = f32({1, 1, 2, 2}, {1, 5, 3, 4});
const Tensor kPlanes = f32({1, 2, 2}, {3, -4, 1, 0});

std::vector<RowCase> max_cases() {
  const double nan = std::nan("");
  const double infinity = std::numeric_limits<double>::infinity();
  return {
      {"max_pool_reference",
       {kLine},
       {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}},
       {f32({1, 1, 2}, {4, 3}), i64({1, 1, 2}, {1, 3})}},
      {"max_pool_reference",
       {kSquare},
       {{"kernel_shape", Ints{2, 2}}, {"storage_order", num(1)}},
       {f32({1, 1, 1, 1}, {5}), i64({1, 1, 1, 1}, {2})}},
      {"max_pool_reference",
       {kSquare},
       {{"kernel_shape", Ints{1, 2}}, {"pads", Ints{0, 1, 0, 1}}},
       {f32({1, 1, 2, 3}, {1, 5, 5, 3, 4, 4}), i64({1, 1, 2, 3}, {0, 1, 1, 2, 3, 3})}},
      {"max_pool_reference",
       {kLine},
       {{"kernel_shape", Ints{2}}, {"dilations", Ints{2}}},
       {f32({1, 1, 2}, {2, 4})}},
      {"max_pool_reference",
       {f32({1, 1, 3}, {1, nan, 2})},
       {{"kernel_shape", Ints{2}}, {"pads", Ints{0, 2}}},
       {f32({1, 1, 4}, {nan, nan, 2, -infinity}), i64({1, 1, 4}, {1, 1, 2, -1})}},
      {"max_pool_reference",
       {tensor(DType::u8, {1, 1, 3}, {7, 255, 0})},
       {{"kernel_shape", Ints{3}}},
       {tensor(DType::u8, {1, 1, 1}, {255})}},
      {"global_max_pool_reference", {kPlanes}, {}, {f32({1, 2, 1}, {3, 1})}},
  };
}

std::vector<RowCase> sum_cases() {
  const Attributes padded = {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}, {"pads", Ints{1, 1}}};
  Attributes counted = padded;
  counted.set("count_include_pad", num(1));
  const Attributes ceiled = {{"kernel_shape", Ints{2}},
                             {"strides", Ints{2}},
                             {"ceil_mode", num(1)},
                             {"count_include_pad", num(1)}};
  return {
      {"average_pool_reference", {kLine}, padded, {f32({1, 1, 3}, {1, 3, 3})}},
      {"average_pool_reference", {kLine}, counted, {f32({1, 1, 3}, {0.5, 3, 1.5})}},
      {"average_pool_reference", {f32({1, 1, 3}, {1, 2, 3})}, ceiled, {f32({1, 1, 2}, {1.5, 3})}},
      {"average_pool_reference",
       {kSquare},
       {{"kernel_shape", Ints{2, 2}}, {"auto_pad", std::string("SAME_UPPER")}},
       {f32({1, 1, 2, 2}, {3.25, 4.5, 3.5, 4})}},
      {"global_average_pool_reference", {kPlanes}, {}, {f32({1, 2, 1}, {-0.5, 0.5})}},
      {"lp_pool_reference", {kPlanes}, {{"kernel_shape", Ints{2}}}, {f32({1, 2, 1}, {5, 1})}},
      {"lp_pool_reference",
       {kPlanes},
       {{"kernel_shape", Ints{2}}, {"p", num(1)}},
       {f32({1, 2, 1}, {7, 1})}},
      {"global_lp_pool_reference", {kPlanes}, {}, {f32({1, 2, 1}, {5, 1})}},
      // (1, 2): squares of the neighbours are 5 and 5; of size 2, the next channel only
      {"lrn_reference",
       {f32({1, 2, 1}, {1, 2})},
       {{"size", num(3)}, {"alpha", 3.0F}, {"beta", 1.0F}, {"bias", 3.0F}},
       {f32({1, 2, 1}, {0.125, 0.25})}},
      {"lrn_reference",
       {f32({1, 2, 1}, {1, 2})},
       {{"size", num(2)}, {"alpha", 2.0F}, {"beta", 1.0F}, {"bias", 0.0F}},
       {f32({1, 2, 1}, {1.0 / 5, 0.5})},
       0x1p-24},
  };
}

std::vector<RowCase> all_cases() {
  std::vector<RowCase> cases = max_cases();
  const auto sums = sum_cases();
  cases.insert(cases.end(), sums.begin(), sums.end());
  return cases;
}

TEST(Pooling, RowsGiveWhatIsExpected) {
  for (const RowCase& test : all_cases()) check(cpu::pooling_rows(), test);
}

TEST(Pooling, EveryRowIsTested) { expect_all_covered(cpu::pooling_rows(), all_cases()); }

}  // namespace
}  // namespace tenon::kernels
