// Attention over rows, causal masks and merged products: recognised with the same results, near
// misses left alone.
#include <gmock/gmock.h>

#include "passes/passes.h"
#include "planner/pass_test_support.h"

namespace tenon::planner {
namespace {

using testing::HasSubstr;

std::string changed(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// Two heads of width 3 from one product each, as UNets have them.
const std::string kRows = R"(input "x" fp32[b, s, 4]
input "context" fp32[b, t, 5]
input "q" fp32[b, s, 6]
input "k" fp32[b, t, 6]
input "v" fp32[b, t, 6]
constant "parted" int64[4] = 0 0 2 3
node "pq" = Reshape("q", "parted") -> "q4"
node "pk" = Reshape("k", "parted") -> "k4"
node "pv" = Reshape("v", "parted") -> "v4"
node "tq" = Transpose("q4") perm=[0, 2, 1, 3] -> "qh"
node "tk" = Transpose("k4") perm=[0, 2, 1, 3] -> "kh"
node "tv" = Transpose("v4") perm=[0, 2, 1, 3] -> "vh"
node "attention" = tenon.Attention("qh", "kh", "vh") scale=0.5f -> "a4"
node "ta" = Transpose("a4") perm=[0, 2, 1, 3] -> "at"
constant "joined" int64[3] = 0 0 6
node "ja" = Reshape("at", "joined") -> "y"
output "y"
)";

TEST(FuseAttentionRows, LeavesNoTransposes) {
  const Rewritten result = rewrite(passes::fuse_attention_rows, kRows);
  EXPECT_EQ(result.rewrites, 1);
  EXPECT_EQ(ops_of(result.text), "tenon.Attention");
  EXPECT_THAT(result.text,
              HasSubstr("tenon.Attention(\"q\", \"k\", \"v\") head_dim=3 k_head_stride=3 "
                        "k_offset=0 kv_heads=2 q_head_stride=3"));
}

TEST(FuseAttentionRows, ReadsPartsOfWiderRows) {
  std::string text = changed(kRows, "input \"q\" fp32[b, s, 6]\n",
                             "input \"wide\" fp32[b, s, 18]\nconstant \"sizes\" int64[3] = 6 6 6\n"
                             "node \"parts\" = Split(\"wide\", \"sizes\") axis=-1 -> \"q\", \"k\", "
                             "\"v\"\n");
  text =
      changed(changed(text, "input \"k\" fp32[b, t, 6]\n", ""), "input \"v\" fp32[b, t, 6]\n", "");
  const Rewritten result = rewrite(passes::fuse_attention_rows, text);
  EXPECT_EQ(ops_of(result.text), "tenon.Attention");
  EXPECT_THAT(result.text, HasSubstr("(\"wide\", \"wide\", \"wide\")"));
  EXPECT_THAT(result.text, HasSubstr("v_offset=12"));
}

TEST(FuseAttentionRows, KeepsWhatOthersRead) {
  expect_left_alone(passes::fuse_attention_rows, kRows + "output \"a4\"\n");
  expect_left_alone(passes::fuse_attention_rows, kRows + "output \"at\"\n");
  const std::string other = changed(kRows, "node \"ta\" = Transpose(\"a4\") perm=[0, 2, 1, 3]",
                                    "node \"ta\" = Transpose(\"a4\") perm=[0, 2, 3, 1]");
  expect_left_alone(passes::fuse_attention_rows, other);
}

std::string masked_rows(const std::string& mask) {
  std::string text = changed(kRows, "input \"k\" fp32[b, t, 6]", "input \"k\" fp32[b, s, 6]");
  text = changed(text, "input \"v\" fp32[b, t, 6]", "input \"v\" fp32[b, s, 6]");
  return changed(text, "node \"attention\" = tenon.Attention(\"qh\", \"kh\", \"vh\")",
                 mask + "node \"attention\" = tenon.Attention(\"qh\", \"kh\", \"vh\", \"mask\")");
}

const std::string kCausal = R"(node "sizes" = Shape("x") -> "sizes"
constant "first" int64[] = 1
node "length" = Gather("sizes", "first") axis=0 -> "length"
constant "zero" int64[] = 0
node "all" = Range("zero", "length", "first") -> "places"
constant "rows" int64[3] = 0 1 3
constant "columns" int64[3] = 0 1 2
node "ur" = Unsqueeze("places", "rows") -> "r"
node "uc" = Unsqueeze("places", "columns") -> "c"
node "seen" = LessOrEqual("c", "r") -> "seen"
constant "none" fp32[] = 0
constant "low" fp32[] = -30000
node "pick" = Where("seen", "none", "low") -> "mask"
)";

TEST(FuseAttentionRows, SeesThatAMaskIsCausal) {
  const Rewritten result = rewrite(passes::fuse_attention_rows, masked_rows(kCausal));
  EXPECT_EQ(ops_of(result.text), "tenon.Attention");
  EXPECT_THAT(result.text, HasSubstr("is_causal=1"));
  const auto keeps_mask = [](const std::string& mask) {
    const Rewritten kept = rewrite(passes::fuse_attention_rows, masked_rows(mask));
    EXPECT_EQ(kept.rewrites, 1);
    EXPECT_THAT(kept.text, HasSubstr("\"mask\")"));
  };
  keeps_mask(changed(kCausal, "LessOrEqual", "Less"));
  keeps_mask(changed(kCausal, "LessOrEqual", "GreaterOrEqual"));
  keeps_mask(changed(kCausal, "fp32[] = -30000", "fp32[] = -3"));
  keeps_mask(changed(kCausal, "fp32[] = 0", "fp32[] = 1"));
  keeps_mask("input \"mask\" fp32[b, 1, s, s]\n");
}

TEST(FuseAttentionRows, NarrowsWhereTheTargetDoes) {
  graph::Graph graph = graph::from_text(kRows);
  passes::PassContext context;
  context.target.precision = Precision::int8;
  EXPECT_EQ(passes::fuse_attention_rows(graph, context), 1);
  EXPECT_THAT(graph::to_text(graph), HasSubstr("precision=\"bf16\""));
}

// The three products that those rows come from.
std::string projected(std::string_view k_input, std::string_view v_input) {
  std::string text = changed(kRows, "input \"q\" fp32[b, s, 6]\n",
                             "constant \"wq\" fp32[4, 6] = 1 0 0 0 2 0 0 1 0 0 0 1 0 0 1 0 0 1 "
                             "0 1 0 1 0 1\nnode \"nq\" = MatMul(\"x\", \"wq\") -> \"q\"\n");
  const auto weight = [](std::string_view input) {
    return std::string(input == "x"
                           ? "fp32[4, 6] = 1 1 0 0 0 0 0 1 1 0 0 0 0 0 1 1 0 0 0 0 0 1 1 0"
                           : "fp32[5, 6] = 1 1 0 0 0 0 0 1 1 0 0 0 0 0 1 1 0 0 0 0 0 1 1 0 "
                             "2 0 0 0 1 2");
  };
  text = changed(text, "input \"k\" fp32[b, t, 6]\n",
                 "constant \"wk\" " + weight(k_input) + "\nnode \"nk\" = MatMul(\"" +
                     std::string(k_input) + "\", \"wk\") -> \"k\"\n");
  text = changed(text, "input \"v\" fp32[b, t, 6]\n",
                 "constant \"wv\" " + weight(v_input) + "\nnode \"nv\" = MatMul(\"" +
                     std::string(v_input) + "\", \"wv\") -> \"v\"\n");
  return text;
}

int rows_then_merge(graph::Graph& graph, const passes::PassContext& context) {
  passes::fuse_attention_rows(graph, context);
  graph.tidy();
  return passes::merge_qkv(graph, context);
}

TEST(MergeQkv, JoinsWhatReadsTheSameRows) {
  const Rewritten self = rewrite(rows_then_merge, projected("x", "x"));
  EXPECT_EQ(self.rewrites, 1);
  EXPECT_EQ(ops_of(self.text), "MatMul tenon.Attention");
  EXPECT_THAT(self.text, HasSubstr("fp32[4, 18]"));
  EXPECT_THAT(self.text, HasSubstr("v_offset=12"));
  const Rewritten cross = rewrite(rows_then_merge, projected("context", "context"));
  EXPECT_EQ(cross.rewrites, 1);
  EXPECT_EQ(ops_of(cross.text), "MatMul MatMul tenon.Attention");
  EXPECT_THAT(cross.text, HasSubstr("fp32[5, 12]"));
  EXPECT_THAT(cross.text, HasSubstr("v_offset=6"));
  const Rewritten read =
      rewrite(rows_then_merge, projected("context", "context") + "output \"v\"\n");
  EXPECT_EQ(read.rewrites, 0);
}

}  // namespace
}  // namespace tenon::planner
