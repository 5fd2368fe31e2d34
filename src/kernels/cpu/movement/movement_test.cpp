// Every movement row against expectations written by hand.
#include <gtest/gtest.h>

#include "kernels/cpu/tables.h"
#include "kernels/reference_test_support.h"

namespace tenon::kernels {
namespace {

using namespace kernels::testing;

std::int64_t num(std::int64_t value) { return value; }
using Ints = std::vector<std::int64_t>;

Tensor halves(Shape shape, const std::vector<double>& values) {
  return tensor(DType::f16, std::move(shape), values);
}

const Tensor kSix = f32({2, 3}, {1, 2, 3, 4, 5, 6});

std::vector<RowCase> order_cases() {
  return {
      {"identity_reference", {kSix}, {}, {kSix}},
      {"reshape_reference", {kSix, i64({2}, {3, 2})}, {}, {f32({3, 2}, {1, 2, 3, 4, 5, 6})}},
      {"flatten_reference", {kSix}, {}, {kSix}},
      {"squeeze_reference", {f32({1, 2}, {1, 2})}, {}, {f32({2}, {1, 2})}},
      {"unsqueeze_reference", {i64({}, {7}), i64({1}, {0})}, {}, {i64({1}, {7})}},
      {"transpose_reference", {kSix}, {}, {f32({3, 2}, {1, 4, 2, 5, 3, 6})}},
      {"transpose_reference",
       {halves({2, 1, 3}, {1, 2, 3, 4, 5, 6})},
       {{"perm", Ints{1, -1, 0}}},
       {halves({1, 3, 2}, {1, 4, 2, 5, 3, 6})}},
      {"transpose_reference",
       {boolean({2, 2}, {1, 1, 0, 0})},
       {{"perm", Ints{1, 0}}},
       {boolean({2, 2}, {1, 0, 1, 0})}},
      {"transpose_reference", {f32({0, 2}, {})}, {}, {f32({2, 0}, {})}},
      {"transpose_reference", {f32({}, {5})}, {}, {f32({}, {5})}},
      {"expand_reference",
       {i64({2, 1}, {1, 2}), i64({3}, {2, 1, 3})},
       {},
       {i64({2, 2, 3}, {1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2})}},
      {"expand_reference", {f32({}, {1}), i64({1}, {0})}, {}, {f32({0}, {})}},
      {"tile_reference",
       {f32({2, 2}, {1, 2, 3, 4}), i64({2}, {2, 3})},
       {},
       {f32({4, 6}, {1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4, 1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4})}},
      {"tile_reference", {f32({1, 2}, {1, 2}), i64({2}, {2, 0})}, {}, {f32({2, 0}, {})}},
      {"slice_reference",
       {kSix, i64({1}, {1}), i64({1}, {INT64_MAX}), i64({1}, {-1})},
       {},
       {f32({2, 2}, {2, 3, 5, 6})}},
      {"slice_reference",
       {kSix, i64({2}, {-1, 2}), i64({2}, {INT64_MIN, 0}), i64({2}, {0, 1}), i64({2}, {-1, -1})},
       {},
       {f32({2, 2}, {6, 5, 3, 2})}},
      {"slice_reference",
       {i64({5}, {0, 1, 2, 3, 4}), i64({1}, {-100}), i64({1}, {4}), std::nullopt, i64({1}, {2})},
       {},
       {i64({2}, {0, 2})}},
      {"slice_reference",
       {i64({5}, {0, 1, 2, 3, 4}), i64({1}, {100}), i64({1}, {0}), std::nullopt, i64({1}, {-3})},
       {},
       {i64({2}, {4, 1})}},
      {"slice_reference", {kSix, i64({1}, {2}), i64({1}, {2})}, {}, {f32({0, 3}, {})}},
      {"slice_reference",
       {kSix, i64({1}, {1}), i64({1}, {2}), i64({1}, {1}), i64({1}, {1LL << 62})},
       {},
       {f32({2, 1}, {2, 5})}},
  };
}

std::vector<RowCase> join_cases() {
  return {
      {"concat_reference",
       {kSix, f32({2, 1}, {7, 8}), f32({2, 0}, {})},
       {{"axis", num(-1)}},
       {f32({2, 4}, {1, 2, 3, 7, 4, 5, 6, 8})}},
      {"concat_reference",
       {i64({1}, {1}), i64({2}, {2, 3})},
       {{"axis", num(0)}},
       {i64({3}, {1, 2, 3})}},
      {"split_reference",
       {kSix, i64({2}, {1, 2})},
       {{"axis", num(1)}},
       {f32({2, 1}, {1, 4}), f32({2, 2}, {2, 3, 5, 6})}},
      {"split_reference",
       {i64({3}, {1, 2, 3})},
       {{"num_outputs", num(2)}},
       {i64({2}, {1, 2}), i64({1}, {3})}},
  };
}

std::vector<RowCase> gather_cases() {
  return {
      {"gather_reference", {kSix, i64({2, 1}, {1, -2})}, {}, {f32({2, 1, 3}, {4, 5, 6, 1, 2, 3})}},
      {"gather_reference",
       {kSix, tensor(DType::i32, {2}, {2, 0})},
       {{"axis", num(1)}},
       {f32({2, 2}, {3, 1, 6, 4})}},
      {"gather_reference", {kSix, i64({}, {1})}, {{"axis", num(-1)}}, {f32({2}, {2, 5})}},
      {"gather_reference", {kSix, i64({0}, {})}, {}, {f32({0, 3}, {})}},
      // outside the table on either side: zeros
      {"gather_reference",
       {kSix, i64({3}, {2, -3, INT64_MIN})},
       {},
       {f32({3, 3}, {0, 0, 0, 0, 0, 0, 0, 0, 0})}},
      {"gather_reference",
       {tensor(DType::bf16, {2, 2}, {1.0078125, 2, -3, 4}), i64({1}, {0})},
       {},
       {f32({1, 2}, {1.0078125, 2})}},
      {"gather_reference",
       {halves({2, 2}, {65504, 2, -3, 5.9604644775390625e-8}), i64({1}, {1})},
       {},
       {f32({1, 2}, {-3, 5.9604644775390625e-8})}},
      {"gather_elements_reference",
       {kSix, i64({2, 2}, {2, 0, -1, 1})},
       {{"axis", num(1)}},
       {f32({2, 2}, {3, 1, 6, 5})}},
      {"gather_elements_reference",
       {kSix, i64({1, 3}, {1, 0, 5})},
       {{"axis", num(0)}},
       {f32({1, 3}, {4, 2, 0})}},
      {"gather_nd_reference", {kSix, i64({2, 2}, {1, 2, 0, -3})}, {}, {f32({2}, {6, 1})}},
      {"gather_nd_reference", {kSix, i64({2, 1}, {1, 7})}, {}, {f32({2, 3}, {4, 5, 6, 0, 0, 0})}},
      {"gather_nd_reference",
       {f32({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}), i64({2, 1}, {1, 0})},
       {{"batch_dims", num(1)}},
       {f32({2, 2}, {3, 4, 5, 6})}},
      {"select_rows_reference",
       {f32({1, 3, 2}, {1, 2, 3, 4, 5, 6}), i64({2}, {2, 2})},
       {},
       {f32({1, 2, 2}, {5, 6, 5, 6})}},
  };
}

std::vector<RowCase> scatter_cases() {
  return {
      {"scatter_nd_reference",
       {f32({4}, {1, 2, 3, 4}), i64({2, 1}, {3, -4}), f32({2}, {9, 8})},
       {},
       {f32({4}, {8, 2, 3, 9})}},
      {"scatter_nd_reference",
       {kSix, i64({1, 1}, {1}), f32({1, 3}, {7, 8, 9})},
       {},
       {f32({2, 3}, {1, 2, 3, 7, 8, 9})}},
      {"scatter_nd_reference",
       {i64({2}, {1, 2}), i64({3, 1}, {0, 0, 1}), i64({3}, {5, 6, 7})},
       {{"reduction", std::string("add")}},
       {i64({2}, {12, 9})}},
      {"scatter_nd_reference",
       {f32({2}, {1, 2}), i64({3, 1}, {2, -3, INT64_MAX}), f32({3}, {5, 6, 7})},
       {},
       {f32({2}, {1, 2})}},
      {"scatter_elements_reference",
       {kSix, i64({1, 2}, {1, 0}), f32({1, 2}, {10, 20})},
       {{"axis", num(0)}},
       {f32({2, 3}, {1, 20, 3, 10, 5, 6})}},
      {"scatter_elements_reference",
       {f32({1, 3}, {1, 2, 3}), i64({1, 2}, {-1, -1}), f32({1, 2}, {10, 2})},
       {{"axis", num(1)}, {"reduction", std::string("mul")}},
       {f32({1, 3}, {1, 2, 60})}},
      {"scatter_elements_reference",
       {f32({3}, {1, 2, 3}), i64({2}, {0, 2}), f32({2}, {10, 2})},
       {{"reduction", std::string("max")}},
       {f32({3}, {10, 2, 3})}},
      {"scatter_elements_reference",
       {f32({3}, {1, 2, 3}), i64({2}, {0, 2}), f32({2}, {10, 2})},
       {{"reduction", std::string("min")}},
       {f32({3}, {1, 2, 2})}},
  };
}

std::vector<RowCase> fill_cases() {
  return {
      {"shape_reference", {kSix}, {}, {i64({2}, {2, 3})}},
      {"shape_reference", {f32({4, 0, 5}, {})}, {{"start", num(-1)}}, {i64({1}, {5})}},
      {"shape_reference", {f32({}, {1})}, {}, {i64({0}, {})}},
      {"size_reference", {kSix}, {}, {i64({}, {6})}},
      {"range_reference", {i64({}, {10}), i64({}, {3}), i64({}, {-3})}, {}, {i64({3}, {10, 7, 4})}},
      {"range_reference",
       {f32({}, {1}), f32({}, {2}), f32({}, {0.25})},
       {},
       {f32({4}, {1, 1.25, 1.5, 1.75})}},
      {"constant_of_shape_reference",
       {i64({1}, {3})},
       {{"value", num(-2)}, {"dtype", num(7)}},
       {i64({3}, {-2, -2, -2})}},
      {"constant_of_shape_reference",
       {i64({1}, {300})},
       {{"value", 0.5F}},
       {halves({300}, std::vector<double>(300, 0.5))}},
      {"constant_of_shape_reference", {i64({0}, {})}, {}, {f32({}, {0})}},
      {"eye_like_reference", {kSix}, {{"k", num(1)}}, {f32({2, 3}, {0, 1, 0, 0, 0, 1})}},
      {"eye_like_reference", {kSix}, {{"k", INT64_MIN}}, {f32({2, 3}, {0, 0, 0, 0, 0, 0})}},
      {"eye_like_reference", {i64({2, 1}, {5, 5})}, {{"k", num(-1)}}, {i64({2, 1}, {0, 1})}},
      {"one_hot_reference",
       {i64({3}, {1, -1, 9}), i64({}, {3}), f32({2}, {-1, 2})},
       {},
       {f32({3, 3}, {-1, 2, -1, -1, -1, 2, -1, -1, -1})}},
      {"one_hot_reference",
       {i64({2}, {1, 0}), i64({}, {2}), i64({2}, {0, 1})},
       {{"axis", num(0)}},
       {i64({2, 2}, {0, 1, 1, 0})}},
  };
}

std::vector<RowCase> pad_cases() {
  const auto mode = [](const char* name) { return Attributes{{"mode", std::string(name)}}; };
  return {
      {"pad_reference",
       {f32({1, 2}, {1, 2}), i64({4}, {1, 0, 0, 1}), f32({}, {9})},
       {},
       {f32({2, 3}, {9, 9, 9, 1, 2, 9})}},
      {"pad_reference", {i64({3}, {1, 2, 3}), i64({2}, {-1, 1})}, {}, {i64({3}, {2, 3, 0})}},
      {"pad_reference",
       {f32({3}, {1, 2, 3}), i64({2}, {4, 3})},
       mode("reflect"),
       {f32({10}, {1, 2, 3, 2, 1, 2, 3, 2, 1, 2})}},
      {"pad_reference",
       {f32({2}, {1, 2}), i64({2}, {2, 1})},
       mode("edge"),
       {f32({5}, {1, 1, 1, 2, 2})}},
      {"pad_reference",
       {f32({3}, {1, 2, 3}), i64({2}, {4, 2})},
       mode("wrap"),
       {f32({9}, {3, 1, 2, 3, 1, 2, 3, 1, 2})}},
      {"pad_reference",
       {f32({2, 1}, {1, 2}), i64({2}, {1, 0}), std::nullopt, i64({1}, {-1})},
       {},
       {f32({2, 2}, {0, 1, 0, 2})}},
      {"trilu_reference",
       {f32({1, 2, 3}, {1, 2, 3, 4, 5, 6})},
       {},
       {f32({1, 2, 3}, {1, 2, 3, 0, 5, 6})}},
      {"trilu_reference",
       {f32({2, 3}, {1, 2, 3, 4, 5, 6}), i64({}, {1})},
       {{"upper", num(0)}},
       {f32({2, 3}, {1, 2, 0, 4, 5, 6})}},
      {"trilu_reference", {kSix, i64({}, {INT64_MAX})}, {}, {f32({2, 3}, {0, 0, 0, 0, 0, 0})}},
      {"trilu_reference", {kSix, i64({}, {INT64_MIN})}, {}, {kSix}},
  };
}

std::vector<RowCase> all_cases() {
  std::vector<RowCase> cases = order_cases();
  for (const auto& part :
       {join_cases(), gather_cases(), scatter_cases(), fill_cases(), pad_cases()})
    cases.insert(cases.end(), part.begin(), part.end());
  return cases;
}

TEST(Movement, RowsGiveWhatIsExpected) {
  for (const RowCase& test : all_cases()) check(cpu::movement_rows(), test);
}

TEST(Movement, EveryRowIsTested) { expect_all_covered(cpu::movement_rows(), all_cases()); }

TEST(Movement, LargeTransposesAgreeWithPlainLoops) {
  constexpr std::int64_t kA = 5;
  constexpr std::int64_t kB = 67;
  constexpr std::int64_t kC = 129;
  std::vector<double> x;
  for (std::int64_t i = 0; i < kA * kB * kC; ++i) x.push_back(static_cast<double>(i));
  std::vector<double> y;
  for (std::int64_t c = 0; c < kC; ++c) {
    for (std::int64_t a = 0; a < kA; ++a) {
      for (std::int64_t b = 0; b < kB; ++b)
        y.push_back(x[static_cast<std::size_t>((a * kB + b) * kC + c)]);
    }
  }
  check(cpu::movement_rows(), {"transpose_reference",
                               {f32({kA, kB, kC}, x)},
                               {{"perm", Ints{2, 0, 1}}},
                               {f32({kC, kA, kB}, y)}});
}

TEST(Movement, WideRowsOfANarrowTableAreExact) {
  std::vector<double> row;
  for (int i = 0; i < 1000; ++i) row.push_back(static_cast<double>(i % 200) / 16);
  std::vector<double> table = row;
  for (const double value : row) table.push_back(-value);
  std::vector<double> expected = row;
  for (double& value : expected) value = -value;
  check(cpu::movement_rows(), {"gather_reference",
                               {tensor(DType::bf16, {2, 1000}, table), i64({1}, {1})},
                               {},
                               {f32({1, 1000}, expected)}});
}

TEST(Movement, RefusesTypesThatDoNotSuit) {
  const KernelRow* gather = row_named(cpu::movement_rows(), "gather_reference");
  const RowCase widened{"", {i64({2}, {1, 2}), i64({1}, {0})}, {}, {f32({1}, {0})}};
  EXPECT_FALSE(gather->accepts(describe(widened, "Gather")));
  const RowCase indexed{"", {f32({2}, {1, 2}), f32({1}, {0})}, {}, {f32({1}, {0})}};
  EXPECT_FALSE(gather->accepts(describe(indexed, "Gather")));
}

}  // namespace
}  // namespace tenon::kernels
