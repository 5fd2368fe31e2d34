// tenon.Attention: the reference against the formula in both layouts, and every fast row against
// the reference in double precision, fed what the row rounds its operands to.
#include <limits>
#include <numbers>
#include <numeric>

#include <gtest/gtest.h>

#include "base/half.h"
#include "kernels/cpu/attention/flash_harness.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu::attention {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

const KernelRow& reference() {
  for (const KernelRow& row : attention_rows()) {
    if (row.name == "attention_reference") return row;
  }
  throw std::runtime_error("no reference");
}

std::vector<const KernelRow*> fast_rows() {
  std::vector<const KernelRow*> rows;
  for (const KernelRow& row : attention_rows()) {
    if (row.op == "tenon.Attention" && row.isa != Isa::none && row.isa <= native_isa())
      rows.push_back(&row);
  }
  return rows;
}

bool narrows(const KernelRow& row) { return row.name.find("bf16") != std::string_view::npos; }

double rounded(double x, bool narrow) {
  const auto single = static_cast<float>(x);
  return static_cast<double>(narrow ? static_cast<float>(BFloat16(single)) : single);
}

struct Expected {
  Tensor out;
  double tolerance;
};

/// The case in double with operands rounded as the row rounds them. What is left between the two:
/// - a score in units of log2 errs by (D + 1) 2^-24 S in its sum, S the largest sum of absolute
///   terms, by 2^-23 S when the highest is taken off, and by 2^-23 of the mask;
/// - a weight errs by ln 2 times that and 2^-23 (narrow rows 2^-18) of its own, a normalised one by
///   twice that;
/// - the sums over T keys err by (T + 2) 2^-24 each, the rounded weights by 2^-9.
Expected expected(const FlashCase& c, FlashHarness& given, bool narrow) {
  FlashHarness exact(c);
  const float factor = given.attributes().get_float("scale", 1.0F) * std::numbers::log2e_v<float>;
  const std::int64_t q_width = c.heads * c.dim;
  double q_most = 0.0, k_most = 1.0, v_most = 1.0, mask_most = 0.0;
  std::vector<Tensor>& inputs = exact.inputs();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto values = given.inputs()[i].as<float>();
    Tensor wide(DType::f64, inputs[i].shape());
    const auto width = static_cast<std::size_t>(inputs[i].shape().back());
    for (std::size_t j = 0; j < values.size(); ++j) {
      const bool query = i == 0 && (!c.merged || j % width < static_cast<std::size_t>(q_width));
      const float x = query ? values[j] * factor : values[j];
      wide.as<double>()[j] = rounded(static_cast<double>(x), narrow);
      if (query) q_most = std::max(q_most, std::abs(wide.as<double>()[j]));
      if (!query) v_most = std::max(v_most, std::abs(wide.as<double>()[j]));
    }
    inputs[i] = std::move(wide);
  }
  if (given.mask().data() != nullptr) {
    exact.set_mask(given.mask());
    if (given.mask().dtype() == DType::f32) {
      for (const float x : given.mask().as<float>()) {
        if (std::isfinite(x)) mask_most = std::max(mask_most, std::abs(static_cast<double>(x)));
      }
    }
  }
  exact.attributes().set("scale", std::numbers::ln2_v<float>);
  exact.bind(reference(), 2);
  exact.invoke();
  const auto dim = static_cast<double>(c.dim);
  const auto keys = static_cast<double>(c.keys);
  const double most = dim * q_most * k_most;
  const double score = (dim + 1.0) * 0x1p-24 * most + 0x1p-23 * (most + 2.0 * mask_most);
  const double weight = std::numbers::ln2 * score + (narrow ? 0x1p-18 : 0x1p-23);
  const double tolerance =
      v_most * (2.0 * std::expm1(weight) + 2.0 * (keys + 2.0) * 0x1p-24 + (narrow ? 0x1p-9 : 0.0));
  return {converted(exact.out().view(), DType::f64), tolerance};
}

void check(const FlashCase& c, const Tensor* mask = nullptr) {
  for (const KernelRow* row : fast_rows()) {
    SCOPED_TRACE(std::string(row->name));
    FlashHarness harness(c);
    if (mask != nullptr) harness.set_mask(*mask);
    const Expected want = expected(c, harness, narrows(*row));
    std::vector<float> first;
    for (const int threads : {1, 3}) {
      harness.bind(*row, threads);
      harness.invoke();
      EXPECT_TRUE(harness.guards_hold());
      const auto got = harness.out().as<float>();
      for (std::size_t i = 0; i < got.size(); ++i) {
        ASSERT_NEAR(static_cast<double>(got[i]), want.out.as<double>()[i], want.tolerance) << i;
      }
      if (threads == 1) first.assign(got.begin(), got.end());
      ASSERT_TRUE(std::equal(got.begin(), got.end(), first.begin())) << "threads change the result";
    }
  }
}

TEST(PlainAttention, ReferenceFollowsTheFormula) {
  for (const bool rank_four : {false, true}) {
    const FlashCase c{.batch = 2,
                      .heads = 4,
                      .kv_heads = 2,
                      .queries = 3,
                      .keys = 5,
                      .dim = 6,
                      .rank_four = rank_four};
    FlashHarness harness(c);
    harness.bind(reference(), 2);
    harness.invoke();
    const auto views = harness.views();
    const auto at = [&](std::size_t input, std::int64_t heads, std::int64_t tokens, std::int64_t b,
                        std::int64_t h, std::int64_t t, std::int64_t d) {
      const std::int64_t i = rank_four ? ((b * heads + h) * tokens + t) * c.dim + d
                                       : ((b * tokens + t) * heads + h) * c.dim + d;
      return static_cast<double>(views[input].as<float>()[static_cast<std::size_t>(i)]);
    };
    for (std::int64_t i = 0; i < c.batch * c.heads * c.queries; ++i) {
      const std::int64_t s = i % c.queries;
      const std::int64_t h = i / c.queries % c.heads;
      const std::int64_t b = i / c.queries / c.heads;
      std::vector<double> weights;
      for (std::int64_t t = 0; t < c.keys; ++t) {
        double dot = 0.0;
        for (std::int64_t d = 0; d < c.dim; ++d)
          dot += at(0, 4, 3, b, h, s, d) * at(1, 2, 5, b, h / 2, t, d);
        weights.push_back(std::exp(dot / std::sqrt(6.0)));
      }
      const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
      for (std::int64_t d = 0; d < c.dim; ++d) {
        double sum = 0.0;
        for (std::int64_t t = 0; t < c.keys; ++t)
          sum += weights[static_cast<std::size_t>(t)] / total * at(2, 2, 5, b, h / 2, t, d);
        const std::int64_t place = rank_four ? i * c.dim + d : ((b * 3 + s) * 4 + h) * c.dim + d;
        // scale is given as a float: a relative 2^-24 of scores below 6 / sqrt 6
        EXPECT_NEAR(static_cast<double>(harness.out().as<float>()[static_cast<std::size_t>(place)]),
                    sum, 4e-7);
      }
    }
  }
}

TEST(PlainAttention, FastRowsAtEveryHeadDim) {
  for (const std::int64_t dim : {1, 7, 8, 17, 40, 64, 80, 96, 128, 160, 256, 512}) {
    SCOPED_TRACE(dim);
    check({.batch = 2, .heads = 2, .kv_heads = 2, .queries = 53, .keys = 77, .dim = dim});
  }
}

TEST(PlainAttention, FastRowsAtEverySize) {
  for (const std::int64_t keys :
       {1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 200, 255, 256, 257, 513, 1024}) {
    SCOPED_TRACE(keys);
    check({.heads = 3, .kv_heads = 3, .queries = 5, .keys = keys, .dim = 40});
  }
  for (const std::int64_t queries : {1, 2, 3, 4, 6, 7, 11, 47, 48, 49, 64, 65, 96, 97, 130}) {
    SCOPED_TRACE(queries);
    check({.heads = 2, .kv_heads = 1, .queries = queries, .keys = 33, .dim = 24});
  }
}

TEST(PlainAttention, ViewsOfAMergedProduct) {
  check({.batch = 2,
         .heads = 5,
         .kv_heads = 5,
         .queries = 96,
         .keys = 96,
         .dim = 64,
         .merged = true});
}

TEST(PlainAttention, RankFourAndGroups) {
  check({.batch = 2,
         .heads = 6,
         .kv_heads = 2,
         .queries = 50,
         .keys = 70,
         .dim = 32,
         .rank_four = true});
}

TEST(PlainAttention, CausalHidesWhatFollows) {
  for (const std::int64_t tokens : {1, 16, 77, 150}) {
    check({.heads = 2,
           .kv_heads = 2,
           .queries = tokens,
           .keys = tokens,
           .dim = 64,
           .merged = true,
           .causal = true});
  }
  check({.heads = 2, .kv_heads = 2, .queries = 90, .keys = 40, .dim = 8, .causal = true});
  check({.heads = 2, .kv_heads = 2, .queries = 9, .keys = 140, .dim = 8, .causal = true});
}

TEST(PlainAttention, ScoresOfAWideRangeMoveTheHighest) {
  // The highest of a row passes the one of the first block by far more than the slack.
  check({.heads = 2, .kv_heads = 2, .queries = 20, .keys = 700, .dim = 16, .spread = 40.0F});
}

TEST(PlainAttention, MasksAreAddedOrHide) {
  const FlashCase c{.batch = 2, .heads = 2, .kv_heads = 2, .queries = 50, .keys = 140, .dim = 16};
  std::minstd_rand random(5);
  for (const Shape& shape : {Shape{2, 2, 50, 140}, Shape{2, 1, 1, 140}, Shape{50, 140},
                             Shape{1, 2, 50, 1}, Shape{140}, Shape{}}) {
    Tensor added(DType::f32, shape);
    for (float& x : added.as<float>()) {
      x = static_cast<float>(random() % 64) / 16.0F;
      if (random() % 3 == 0 && !shape.empty()) x = -kInf;
    }
    check(c, &added);
    Tensor flags(DType::boolean, shape);
    for (bool& x : flags.as<bool>()) x = random() % 3 != 0;
    check(c, &flags);
  }
  Tensor nothing(DType::f32, {50, 140});  // the first rows see nothing, the first keys are hidden
  for (std::size_t i = 0; i < 50 * 140; ++i)
    nothing.as<float>()[i] = i < 140 * 10 || i % 140 < 135 ? -kInf : 0.0F;
  check(c, &nothing);
}

TEST(PlainAttention, NotANumberReachesItsRowsAlone) {
  const FlashCase c{.heads = 2, .kv_heads = 2, .queries = 13, .keys = 150, .dim = 16};
  for (const KernelRow* row : fast_rows()) {
    FlashHarness harness(c);
    harness.inputs()[0].as<float>()[5 * 32 + 16] = std::numeric_limits<float>::quiet_NaN();
    harness.bind(*row, 2);
    harness.invoke();
    for (std::size_t i = 0; i < 13 * 32; ++i) {
      const bool hit = i / 32 == 5 && i % 32 >= 16;
      EXPECT_EQ(std::isnan(harness.out().as<float>()[i]), hit) << row->name << " at " << i;
    }
  }
}

TEST(PlainAttention, NothingToDoIsDone) {
  for (const KernelRow* row : fast_rows()) {
    for (const FlashCase& c : {FlashCase{.batch = 0}, FlashCase{.queries = 0}}) {
      FlashHarness harness(c);
      harness.bind(*row, 2);
      harness.invoke();
    }
    FlashHarness blind(FlashCase{.keys = 0});
    blind.bind(*row, 2);
    blind.invoke();
    for (const float y : blind.out().as<float>()) EXPECT_EQ(y, 0.0F);
  }
}

TEST(PlainAttention, NarrowRowsWaitForTheirPrecision) {
  const FlashHarness exact(FlashCase{.narrow = false});
  const FlashHarness narrow(FlashCase{.narrow = true});
  for (const KernelRow* row : fast_rows()) {
    EXPECT_EQ(row->accepts(exact.step()), !narrows(*row)) << row->name;
    EXPECT_TRUE(row->accepts(narrow.step())) << row->name;
  }
}

TEST(PlainAttention, ContradictingAttributesAreRefused) {
  const auto refused = [](std::string_view name, std::int64_t value) {
    FlashHarness harness(FlashCase{.heads = 4, .kv_heads = 2, .dim = 8});
    harness.attributes().set(std::string(name), value);
    for (const KernelRow& row : attention_rows()) {
      if (row.op == "tenon.Attention" && row.accepts(harness.step())) return false;
    }
    return true;
  };
  EXPECT_TRUE(refused("q_heads", 0));
  EXPECT_TRUE(refused("q_heads", 3));
  EXPECT_TRUE(refused("kv_heads", 3));
  EXPECT_TRUE(refused("head_dim", 9));
  EXPECT_TRUE(refused("k_offset", 1));
  EXPECT_TRUE(refused("q_offset", -1));
  EXPECT_TRUE(refused("v_head_stride", std::int64_t{1} << 62));
}

}  // namespace
}  // namespace tenon::kernels::cpu::attention
