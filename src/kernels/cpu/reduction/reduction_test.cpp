// Every reduction row against expectations written by hand or computed by plain formulas here.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "kernels/cpu/tables.h"
#include "kernels/reference_test_support.h"

namespace tenon::kernels {
namespace {

using namespace kernels::testing;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::nan("");
constexpr double kHalfUlp = 1.0 / (1 << 24) * 1.0001;
std::int64_t num(std::int64_t value) { return value; }

const Tensor kSix = f32({2, 3}, {1, -2, 3, -4, 5, 6});

std::vector<RowCase> reduce_cases() {
  const Attributes flat = {{"keepdims", num(0)}};
  return {
      {"reduce_sum_reference", {kSix, i64({1}, {1})}, {}, {f32({2, 1}, {2, 7})}},
      {"reduce_sum_reference", {kSix, i64({1}, {-2})}, flat, {f32({3}, {-3, 3, 9})}},
      {"reduce_sum_reference", {kSix}, flat, {f32({}, {9})}},
      {"reduce_sum_reference", {kSix, i64({0}, {})}, flat, {f32({}, {9})}},
      {"reduce_sum_reference", {kSix, i64({0}, {})}, {{"noop_with_empty_axes", num(1)}}, {kSix}},
      {"reduce_sum_reference",
       {f32({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}), i64({2}, {0, 2})},
       flat,
       {f32({2}, {14, 22})}},
      {"reduce_sum_reference", {f32({2, 0}, {}), i64({1}, {1})}, flat, {f32({2}, {0, 0})}},
      {"reduce_sum_reference", {i64({2}, {INT64_MAX, 1})}, flat, {i64({}, {INT64_MIN})}},
      // float32 sums in order would lose the ones beside 2^24.
      {"reduce_sum_reference", {f32({4}, {16777216, 1, 1, -16777216})}, flat, {f32({}, {2})}},
      {"reduce_sum_reference",
       {tensor(DType::f16, {3}, {2048, 1, 1})},
       flat,
       {tensor(DType::f16, {}, {2050})}},
      {"reduce_mean_reference", {kSix, i64({1}, {1})}, flat, {f32({2}, {2.0 / 3, 7.0 / 3})}},
      {"reduce_mean_reference", {f32({0}, {})}, flat, {f32({}, {kNan})}},
      {"reduce_mean_reference", {i64({2}, {3, 4})}, flat, {i64({}, {3})}},
      {"reduce_max_reference", {kSix, i64({1}, {0})}, flat, {f32({3}, {1, 5, 6})}},
      {"reduce_max_reference", {f32({2}, {1, kNan})}, flat, {f32({}, {kNan})}},
      {"reduce_max_reference", {f32({0}, {})}, flat, {f32({}, {-kInfinity})}},
      {"reduce_max_reference",
       {tensor(DType::i32, {0}, {})},
       flat,
       {tensor(DType::i32, {}, {-2147483648.0})}},
      {"reduce_max_reference",
       {boolean({2, 2}, {0, 0, 0, 1}), i64({1}, {1})},
       flat,
       {boolean({2}, {0, 1})}},
      {"reduce_max_reference", {boolean({0}, {})}, flat, {boolean({}, {0})}},
      {"reduce_min_reference", {kSix, i64({1}, {0})}, flat, {f32({3}, {-4, -2, 3})}},
      {"reduce_min_reference", {boolean({0}, {})}, flat, {boolean({}, {1})}},
      {"reduce_min_reference",
       {i64({2}, {(1LL << 53) + 1, 1LL << 60})},
       flat,
       {i64({}, {(1LL << 53) + 1})}},
      {"reduce_prod_reference", {kSix, i64({1}, {1})}, flat, {f32({2}, {-6, -120})}},
      {"reduce_prod_reference", {i64({0}, {})}, flat, {i64({}, {1})}},
      {"reduce_l1_reference", {kSix, i64({1}, {1})}, flat, {f32({2}, {6, 15})}},
      {"reduce_l2_reference", {f32({2}, {3, -4})}, flat, {f32({}, {5})}},
      {"reduce_sum_square_reference", {kSix, i64({1}, {1})}, flat, {f32({2}, {14, 77})}},
      {"reduce_log_sum_reference", {f32({2}, {1, 3})}, flat, {f32({}, {std::log(4.0)})}},
      {"reduce_log_sum_exp_reference",
       {f32({2}, {1000, 1000})},
       flat,
       {f32({}, {1000 + std::log(2.0)})}},
      {"reduce_log_sum_exp_reference",
       {f32({2}, {-kInfinity, -kInfinity})},
       flat,
       {f32({}, {-kInfinity})}},
  };
}

std::vector<RowCase> softmax_cases() {
  const double e = std::exp(1.0);
  return {
      {"softmax_reference",
       {f32({2, 2}, {1, 2, 1001, 1000})},
       {},
       {f32({2, 2}, {1 / (1 + e), e / (1 + e), e / (1 + e), 1 / (1 + e)})},
       kHalfUlp},
      {"softmax_reference",
       {f32({2, 2}, {1, 5, 2, 5})},
       {{"axis", num(0)}},
       {f32({2, 2}, {1 / (1 + e), 0.5, e / (1 + e), 0.5})},
       kHalfUlp},
      {"softmax_reference",
       {f32({3, 2}, {-kInfinity, 3, -kInfinity, -kInfinity, -1e38, -1e38})},
       {},
       {f32({3, 2}, {0, 1, 0, 0, 0.5, 0.5})}},
      {"softmax_reference", {f32({2, 0}, {})}, {}, {f32({2, 0}, {})}},
      {"log_softmax_reference", {f32({2}, {0, 1000})}, {}, {f32({2}, {-1000, 0})}, kHalfUlp},
  };
}

std::vector<RowCase> arg_cases() {
  return {
      {"arg_max_reference",
       {f32({2, 3}, {1, 3, 3, -4, kNan, 6})},
       {{"axis", num(1)}},
       {i64({2, 1}, {1, 1})}},
      {"arg_max_reference",
       {f32({2, 3}, {1, 3, 3, 4, 4, 4})},
       {{"axis", num(-1)}, {"select_last_index", num(1)}, {"keepdims", num(0)}},
       {i64({2}, {2, 2})}},
      {"arg_max_reference", {i64({2}, {1LL << 53, (1LL << 53) + 1})}, {}, {i64({1}, {1})}},
      {"arg_min_reference",
       {f32({2, 2}, {1, 2, -1, 2})},
       {{"axis", num(0)}, {"keepdims", num(0)}},
       {i64({2}, {1, 0})}},
      {"topk_reference",
       {f32({2, 4}, {1, 4, 4, 2, 9, 7, 8, 6}), i64({1}, {3})},
       {},
       {f32({2, 3}, {4, 4, 2, 9, 8, 7}), i64({2, 3}, {1, 2, 3, 0, 2, 1})}},
      {"topk_reference",
       {i64({3, 2}, {5, 6, 1, 9, 3, 2}), i64({1}, {2})},
       {{"axis", num(0)}, {"largest", num(0)}},
       {i64({2, 2}, {1, 2, 3, 6}), i64({2, 2}, {1, 2, 2, 0})}},
      {"topk_reference", {f32({3}, {1, 2, 3}), i64({1}, {0})}, {}, {f32({0}, {}), i64({0}, {})}},
  };
}

std::vector<RowCase> scan_cases() {
  return {
      {"cumsum_reference", {kSix, i64({}, {1})}, {}, {f32({2, 3}, {1, -1, 2, -4, 1, 7})}},
      {"cumsum_reference",
       {i64({3}, {1, 2, 3}), i64({}, {0})},
       {{"exclusive", num(1)}},
       {i64({3}, {0, 1, 3})}},
      {"cumsum_reference",
       {i64({3}, {1, 2, 3}), tensor(DType::i32, {}, {-1})},
       {{"reverse", num(1)}},
       {i64({3}, {6, 5, 3})}},
      {"cumsum_reference",
       {i64({3}, {1, 2, 3}), i64({}, {0})},
       {{"reverse", num(1)}, {"exclusive", num(1)}},
       {i64({3}, {5, 3, 0})}},
      {"cumsum_reference",
       {f32({2, 2}, {1, 2, 3, 4}), i64({}, {0})},
       {},
       {f32({2, 2}, {1, 2, 4, 6})}},
  };
}

// Means and variances below are small numbers in closed form; epsilon is 0 or makes them so.
std::vector<RowCase> statistics_cases() {
  const Tensor ones = f32({4}, {1, 1, 1, 1});
  const Tensor zeros = f32({4}, {0, 0, 0, 0});
  return {
      {"group_normalization_reference",
       {f32({1, 4, 1}, {1, 3, 10, 30}), f32({4}, {1, 1, 2, 1}), f32({4}, {0, 0, 0, 5})},
       {{"num_groups", num(2)}, {"epsilon", 0.0F}},
       {f32({1, 4, 1}, {-1, 1, -2, 6})}},
      {"group_normalization_reference",
       {f32({2, 4}, {1, 3, 1, 3, -1, -1, 1, 1}), ones, zeros},
       {{"num_groups", num(1)}, {"epsilon", 3.0F}},
       {f32({2, 4}, {-0.5, 0.5, -0.5, 0.5, -0.5, -0.5, 0.5, 0.5})}},
      {"instance_normalization_reference",
       {f32({1, 2, 2}, {1, 3, 10, 30}), f32({2}, {1, 2}), f32({2}, {0, 1})},
       {{"epsilon", 0.0F}},
       {f32({1, 2, 2}, {-1, 1, -1, 3})}},
      {"batch_normalization_reference",
       {f32({1, 2, 2}, {1, 3, 10, 30}), f32({2}, {1, 2}), f32({2}, {0, 1}), f32({2}, {1, 20}),
        f32({2}, {3, 24})},
       {{"epsilon", 1.0F}},
       {f32({1, 2, 2}, {0, 1, -3, 5})}},
      {"batch_normalization_reference",
       {f32({0, 1, 2}, {}), f32({1}, {1}), f32({1}, {0}), f32({1}, {0}), f32({1}, {1})},
       {},
       {f32({0, 1, 2}, {})}},
  };
}

std::vector<RowCase> einsum_cases() {
  const auto equation = [](const char* text) {
    return Attributes{{"equation", std::string(text)}};
  };
  const Tensor square = f32({2, 2}, {1, 2, 3, 4});
  return {
      {"einsum_reference", {kSix, kSix}, equation("ij, kj -> ik"), {f32({2, 2}, {14, 4, 4, 77})}},
      {"einsum_reference", {kSix}, equation("ij->ji"), {f32({3, 2}, {1, -4, -2, 5, 3, 6})}},
      {"einsum_reference", {kSix}, equation("ij->"), {f32({}, {9})}},
      {"einsum_reference", {square}, equation("ii->i"), {f32({2}, {1, 4})}},
      {"einsum_reference", {square}, equation("ii"), {f32({}, {5})}},
      {"einsum_reference", {square, square}, equation("ba,cb"), {f32({2, 2}, {7, 15, 10, 22})}},
      {"einsum_reference",
       {f32({2, 1, 2}, {1, 2, 3, 4}), square},
       equation("...j, ...j -> ..."),
       {f32({2, 2}, {5, 11, 11, 25})}},
      {"einsum_reference",
       {i64({2}, {3, 4}), i64({2}, {5, 6}), i64({2}, {1, 2})},
       equation("i,j,i->j"),
       {i64({2}, {55, 66})}},
      {"einsum_reference",
       {f32({2, 0}, {}), f32({0, 2}, {})},
       equation("ik,kj->ij"),
       {f32({2, 2}, {0, 0, 0, 0})}},
  };
}

std::vector<RowCase> all_cases() {
  std::vector<RowCase> cases = reduce_cases();
  for (const auto& part :
       {softmax_cases(), arg_cases(), scan_cases(), statistics_cases(), einsum_cases()})
    cases.insert(cases.end(), part.begin(), part.end());
  return cases;
}

TEST(Reduction, RowsGiveWhatIsExpected) {
  for (const RowCase& test : all_cases()) check(cpu::reduction_rows(), test);
}

TEST(Reduction, EveryRowIsTested) { expect_all_covered(cpu::reduction_rows(), all_cases()); }

TEST(Reduction, LongLinesAgreeWithPlainLoops) {
  constexpr std::int64_t kLines = 301;
  constexpr std::int64_t kSize = 777;
  std::vector<double> x;
  for (std::int64_t i = 0; i < kLines * kSize; ++i)
    x.push_back(static_cast<double>(i * 37 % 1013) / 64 - 4);
  std::vector<double> rows(kLines, 0);
  std::vector<double> columns(kSize, -kInfinity);
  std::vector<double> soft;
  for (std::size_t r = 0; r < kLines; ++r) {
    double sum = 0;
    for (std::size_t c = 0; c < kSize; ++c) {
      const double value = x[r * kSize + c];
      rows[r] += value;
      columns[c] = std::max(columns[c], value);
      sum += std::exp(value);
    }
    for (std::size_t c = 0; c < kSize; ++c) soft.push_back(std::exp(x[r * kSize + c]) / sum);
  }
  const Tensor input = f32({kLines, kSize}, x);
  const Attributes flat = {{"keepdims", num(0)}};
  check(cpu::reduction_rows(),
        {"reduce_sum_reference", {input, i64({1}, {1})}, flat, {f32({kLines}, rows)}});
  check(cpu::reduction_rows(),
        {"reduce_max_reference", {input, i64({1}, {0})}, flat, {f32({kSize}, columns)}});
  check(cpu::reduction_rows(),
        {"softmax_reference", {input}, {}, {f32({kLines, kSize}, soft)}, kHalfUlp});
}

}  // namespace
}  // namespace tenon::kernels
