// Every row of tenon.CachedAttention against the reference, and a row's bits against themselves
// under other batches, chunks and threads.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/half.h"
#include "kernels/cpu/attention/cached_harness.h"
#include "kernels/cpu/tables.h"

namespace tenon::kernels::cpu::attention {
namespace {

const KernelRow& row_named(std::string_view name) {
  for (const KernelRow& row : attention_rows()) {
    if (row.name == name) return row;
  }
  throw std::runtime_error("no such row");
}

std::vector<const KernelRow*> fast_rows() {
  std::vector<const KernelRow*> rows;
  for (const KernelRow& row : attention_rows()) {
    if (row.uses_state && row.isa != Isa::none && row.isa <= native_isa()) rows.push_back(&row);
  }
  return rows;
}

bool bf16_cache(const KernelRow& row) {
  return row.name.find("attention_bf16") != std::string_view::npos;
}

/// The error of an output is that of the scores, twice (a weight and the sum of weights), plus the
/// rounding of the sums, all times |v| <= 1. Operands are uniform in [-1, 1], so that the terms of
/// a score of `dim` elements sum to about dim / 4 in magnitude: dim / 2 with room.
float tolerance(const KernelRow& row, const CachedCase& c, int tokens) {
  const auto dim = static_cast<float>(c.dim);
  const float terms = dim / 2.0F / std::sqrt(dim);
  const float eps = 0x1p-24F;
  const float plain = 2.0F * (dim + 4.0F) * eps * terms + static_cast<float>(tokens + 16) * eps;
  if (!bf16_cache(row)) return plain;
  // Errors of the elements are independent, so they grow by the root of the terms: each is at most
  // 2^-9 of an element (a rotated key may round the other way: 2^-8), four deviations wide.
  const float element = c.rotary_dim > 0 ? 0x1p-8F : 0x1p-9F;
  const float rounded = 4.0F * 2.0F * element * std::sqrt(dim / 9.0F) / std::sqrt(dim);
  if (row.isa == Isa::avx512_bf16) return plain + 2.0F * rounded + 0x1p-8F;
  return c.rotary_dim > 0 ? plain + rounded : plain;
}

void expect_near(const std::vector<float>& got, const std::vector<float>& want, float bound,
                 std::string_view where) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_LE(std::abs(got[i] - want[i]), bound)
        << where << " element " << i << ": " << got[i] << ", reference " << want[i];
  }
}

using Schedule = std::vector<std::vector<Chunk>>;

void compare(const KernelRow& row, CachedCase c, const Schedule& schedule, int max_tokens) {
  c.bf16 = bf16_cache(row);
  const int sequences = 8;
  CachedHarness fast(row, c, sequences, max_tokens);
  CachedHarness plain(row_named("cached_attention_reference"), c, sequences, max_tokens);
  for (const auto& chunks : schedule) {
    const auto where =
        fmt::format("{} q {} kv {} dim {} rotary {}{} threads {}", row.name, c.q_heads, c.kv_heads,
                    c.dim, c.rotary_dim, c.interleaved ? "i" : "", c.threads);
    expect_near(fast.run(chunks), plain.run(chunks), tolerance(row, c, max_tokens), where);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

/// Contexts 0, 1, 15, 16, 17, 100 met by 1, 2, 7, 16, 33 rows, six sequences at once.
const Schedule kRagged = {
    {{1, 1}, {2, 15}, {3, 16}, {4, 17}, {5, 100}},
    {{5, 1}, {0, 33}, {1, 7}, {2, 2}, {4, 16}, {3, 1}},
    {{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}},
    {{3, 33}, {2, 16}},
};

TEST(CachedAttention, MatchesReferenceForAllHeadDims) {
  for (const KernelRow* row : fast_rows()) {
    for (const int dim : {1, 7, 8, 16, 20, 64, 80, 128}) {
      compare(*row, {.q_heads = 2, .kv_heads = 2, .dim = dim, .threads = 2}, kRagged, 160);
    }
  }
}

TEST(CachedAttention, MatchesReferenceForAllGroups) {
  for (const KernelRow* row : fast_rows()) {
    for (const int group : {1, 2, 4, 5, 8, 40}) {
      for (const int threads : {1, 2, 3}) {
        compare(
            *row,
            {.q_heads = 2 * group, .kv_heads = 2, .dim = 20, .rotary_dim = 20, .threads = threads},
            kRagged, 160);
      }
    }
  }
}

TEST(CachedAttention, MatchesReferenceForAllRotations) {
  for (const KernelRow* row : fast_rows()) {
    for (const int rotary : {0, 2, 8, 20}) {
      for (const bool interleaved : {false, true}) {
        for (const bool fused : {false, true}) {
          compare(*row,
                  {.q_heads = 3,
                   .kv_heads = 3,
                   .dim = 20,
                   .rotary_dim = rotary,
                   .interleaved = interleaved,
                   .fused = fused,
                   .threads = 2},
                  kRagged, 160);
        }
      }
    }
  }
}

TEST(CachedAttention, MatchesReferenceWhereSectionsGrow) {
  for (const KernelRow* row : fast_rows()) {
    compare(*row, {.q_heads = 2, .kv_heads = 1, .dim = 8, .threads = 3},
            {{{0, 2040}, {1, 130}}, {{0, 33}, {1, 1}}, {{0, 1}, {1, 1}}}, 2100);
  }
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

TEST(CachedAttention, BitsDoNotDependOnChunksBatchOrThreads) {
  constexpr int kTokens = 2200;
  for (const KernelRow* row : fast_rows()) {
    for (const int group : {1, 3}) {
      CachedCase c{.q_heads = group, .kv_heads = 1, .dim = 16, .rotary_dim = 8};
      c.bf16 = bf16_cache(*row);
      CachedHarness alone(*row, c, 1, kTokens);
      const auto whole = alone.run({{0, kTokens}});
      for (const int threads : {2, 3, 5}) {
        c.threads = threads;
        CachedHarness crowd(*row, c, 3, kTokens);
        int at = 0;
        for (const int rows : {1, 2, 7, 16, 33, 900, 1, 1, 1086, 1, 2, 33, 100, 1, 1, 1, 1, 1}) {
          const auto out = crowd.run({{1, 1}, {0, rows}, {2, rows % 5 + 1}});
          const std::size_t width = crowd.out_width();
          const auto own = std::span(out).subspan(width, static_cast<std::size_t>(rows) * width);
          ASSERT_TRUE(same_bits(own, std::span(whole).subspan(at * width, own.size())))
              << row->name << " group " << group << " threads " << threads << " position " << at;
          at += rows;
        }
      }
    }
  }
}

TEST(CachedAttention, ManyThreadsShareOneLongContext) {
  for (const KernelRow* row : fast_rows()) {
    CachedCase c{.q_heads = 4, .kv_heads = 1, .dim = 16};
    c.bf16 = bf16_cache(*row);
    std::vector<std::vector<float>> outputs;
    for (const int threads : {1, 4, 9}) {
      c.threads = threads;
      CachedHarness harness(*row, c, 1, 1200);
      harness.run({{0, 1150}});
      outputs.push_back(harness.run({{0, 1}}));
    }
    EXPECT_TRUE(same_bits(outputs[0], outputs[1])) << row->name;
    EXPECT_TRUE(same_bits(outputs[0], outputs[2])) << row->name;
  }
}

/// One token sees itself alone: the output is its value, whatever the keys.
TEST(CachedAttention, FirstTokenReturnsItsValue) {
  for (const KernelRow& row : attention_rows()) {
    if (!row.uses_state || row.isa > native_isa()) continue;
    CachedCase c{.q_heads = 2, .kv_heads = 2, .dim = 5, .fused = true};
    c.bf16 = bf16_cache(row);
    CachedHarness harness(row, c, 1, 16);
    const auto out = harness.run({{0, 1}});
    std::minstd_rand random(1);
    random.discard(8);
    std::uniform_real_distribution<float> uniform(-1.0F, 1.0F);
    for (int head = 0; head < 2; ++head) {
      for (int i = 0; i < 15; ++i) {
        const float x = uniform(random);
        if (i < 10) continue;
        const float value = c.bf16 ? static_cast<float>(BFloat16(x)) : x;
        EXPECT_EQ(out[static_cast<std::size_t>(head * 5 + i - 10)], value) << row.name;
      }
    }
  }
}

TEST(CachedAttention, RefusesHeadsOutsideTheirOperand) {
  Attributes attributes = {{"layer", std::int64_t{0}},
                           {"q_heads", std::int64_t{4}},
                           {"kv_heads", std::int64_t{2}},
                           {"head_dim", std::int64_t{8}}};
  StepDescription step;
  step.op = "tenon.CachedAttention";
  step.attributes = &attributes;
  const auto operand = [](std::int64_t width) {
    StepDescription::Operand made;
    made.shape = {-1, width};
    return made;
  };
  step.inputs = {operand(32), operand(16), operand(16)};
  step.outputs = {operand(32)};
  EXPECT_TRUE(parse_cached(step).has_value());
  attributes.set("k_offset", std::int64_t{1});
  EXPECT_FALSE(parse_cached(step).has_value());
  attributes.set("k_offset", std::int64_t{0});
  attributes.set("kv_heads", std::int64_t{3});
  EXPECT_FALSE(parse_cached(step).has_value());
  attributes.set("kv_heads", std::int64_t{2});
  attributes.set("rotary_dim", std::int64_t{4});
  EXPECT_FALSE(parse_cached(step).has_value());  // no cos and sin
  attributes.set("rotary_dim", std::int64_t{0});
  attributes.set("cache_dtype", "fp8");
  EXPECT_FALSE(parse_cached(step).has_value());
}

}  // namespace
}  // namespace tenon::kernels::cpu::attention
