// Rotary embedding and attention: recognised with the same results, near misses left alone.
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

const std::string kRotary = R"(input "x" fp32[b, 2, s, 4]
input "angles" fp32[b, s, 2]
node "both" = Concat("angles", "angles") axis=-1 -> "wide"
node "cos" = Cos("wide") -> "c3"
node "sin" = Sin("wide") -> "s3"
constant "one" int64[1] = 1
node "c4" = Unsqueeze("c3", "one") -> "cos"
node "s4" = Unsqueeze("s3", "one") -> "sin"
constant "zero" int64[1] = 0
constant "two" int64[1] = 2
constant "end" int64[1] = 99
constant "last" int64[1] = -1
node "front" = Slice("x", "zero", "two", "last") -> "x1"
node "back" = Slice("x", "two", "end", "last") -> "x2"
node "minus" = Neg("x2") -> "m"
node "turn" = Concat("m", "x1") axis=-1 -> "turned"
node "straight" = Mul("x", "cos") -> "a"
node "across" = Mul("turned", "sin") -> "d"
node "sum" = Add("a", "d") -> "y"
output "y"
)";

TEST(FuseRotary, TakesTheRotatedHalves) {
  const Rewritten result = rewrite(passes::fuse_rotary, kRotary);
  EXPECT_EQ(result.rewrites, 1);
  EXPECT_THAT(result.text, HasSubstr("= RotaryEmbedding(\"x\", "));
  EXPECT_THAT(result.text, HasSubstr("rotary_embedding_dim=4"));
  EXPECT_THAT(result.text, testing::Not(HasSubstr("Neg")));
  const Rewritten parts = rewrite(
      passes::fuse_rotary,
      changed(changed(kRotary,
                      "node \"front\" = Slice(\"x\", \"zero\", \"two\", \"last\") -> \"x1\"\n", ""),
              "node \"back\" = Slice(\"x\", \"two\", \"end\", \"last\") -> \"x2\"",
              "constant \"sizes\" int64[2] = 2 2\n"
              "node \"split\" = Split(\"x\", \"sizes\") axis=-1 -> \"x1\", \"x2\""));
  EXPECT_EQ(parts.rewrites, 1);
}

TEST(FuseRotary, TakesAPartOfAHead) {
  std::string text =
      changed(kRotary, "input \"x\" fp32[b, 2, s, 4]", "input \"h\" fp32[b, 2, s, 7]");
  text = changed(text, "constant \"end\" int64[1] = 99\nconstant \"last\" int64[1] = -1\n",
                 "constant \"end\" int64[1] = 99\nconstant \"last\" int64[1] = -1\n"
                 "constant \"four\" int64[1] = 4\n"
                 "node \"part\" = Slice(\"h\", \"zero\", \"four\", \"last\") -> \"x\"\n"
                 "node \"rest\" = Slice(\"h\", \"four\", \"end\", \"last\") -> \"r\"\n");
  text = changed(text, "output \"y\"\n",
                 "node \"join\" = Concat(\"y\", \"r\") axis=-1 -> \"z\"\noutput \"z\"\n");
  const Rewritten result = rewrite(passes::fuse_rotary, text);
  EXPECT_EQ(result.rewrites, 1);
  EXPECT_THAT(result.text, HasSubstr("= RotaryEmbedding(\"h\", "));
  EXPECT_THAT(result.text, testing::Not(HasSubstr("\"join\" = ")));
}

TEST(FuseRotary, LeavesOtherRotationsAlone) {
  const auto miss = [](std::string_view from, std::string_view to) {
    SCOPED_TRACE(from);
    const Rewritten result = rewrite(passes::fuse_rotary, changed(kRotary, from, to));
    EXPECT_EQ(result.rewrites, 0);
    EXPECT_THAT(result.text, HasSubstr("\"sum\" = Add"));
  };
  // unequal halves of x
  miss("constant \"two\" int64[1] = 2", "constant \"two\" int64[1] = 1");
  // the halves of the table differ
  miss("node \"both\" = Concat(\"angles\", \"angles\")",
       "input \"others\" fp32[b, s, 2]\nnode \"both\" = Concat(\"angles\", \"others\")");
  // the other half is negated, or none
  miss("Concat(\"m\", \"x1\")", "Concat(\"x1\", \"m\")");
  miss("Neg(\"x2\")", "Abs(\"x2\")");
  // not the x whose halves are turned
  miss("Mul(\"x\", \"cos\")", "Mul(\"turned\", \"cos\")");
  // the table's elements in another order
  miss("node \"c4\" = Unsqueeze(\"c3\", \"one\")",
       "constant \"order\" int64[4] = 0 2 1 3\n"
       "node \"g\" = Gather(\"c3\", \"order\") axis=2 -> \"c5\"\n"
       "node \"c4\" = Unsqueeze(\"c5\", \"one\")");
}

const std::string kAttention = R"(input "q" fp32[b, 4, s, 2]
input "k" fp32[b, 4, t, 2]
input "v" fp32[b, 4, t, 3]
input "mask" fp32[b, 1, s, t]
node "turn" = Transpose("k") perm=[0, 1, 3, 2] -> "kt"
node "product" = MatMul("q", "kt") -> "scores"
constant "scale" fp32[] = 0.5
node "times" = Mul("scores", "scale") -> "scaled"
node "hide" = Add("scaled", "mask") -> "masked"
node "soft" = Softmax("masked") axis=-1 -> "p"
node "mix" = MatMul("p", "v") -> "y"
output "y"
)";

void expect_attention(const std::string& text, std::string_view expected) {
  const Rewritten result = rewrite(passes::fuse_attention, text);
  EXPECT_EQ(result.rewrites, 1) << text;
  EXPECT_THAT(result.text, HasSubstr(expected));
  EXPECT_THAT(result.text, testing::Not(HasSubstr("Softmax")));
}

TEST(FuseAttention, TakesTheFormsOfExporters) {
  constexpr const char* kWhole =
      "= tenon.Attention(\"q\", \"k\", \"v\", \"mask\") scale=0.5f -> \"y\"";
  expect_attention(kAttention, kWhole);
  expect_attention(changed(kAttention, "Add(\"scaled\", \"mask\")", "Add(\"mask\", \"scaled\")"),
                   kWhole);
  expect_attention(changed(kAttention, "axis=-1", "axis=3"), kWhole);
  // the scale on the query, or shared
  std::string on_query = changed(kAttention, "Add(\"scaled\",", "Add(\"scores\",");
  on_query = changed(on_query, "node \"times\" = Mul(\"scores\", \"scale\") -> \"scaled\"\n", "");
  on_query = changed(on_query, "constant \"scale\" fp32[] = 0.5\n", "");
  std::string shared =
      changed(on_query, "node \"product\" = MatMul(\"q\", \"kt\")",
              "constant \"c\" fp32[] = 0.5\nnode \"qs\" = Mul(\"q\", \"c\") -> \"q2\"\n"
              "node \"ks\" = Mul(\"kt\", \"c\") -> \"k2\"\n"
              "node \"product\" = MatMul(\"q2\", \"k2\")");
  expect_attention(shared, "(\"q\", \"k\", \"v\", \"mask\") scale=0.25f");
  expect_attention(on_query, "(\"q\", \"k\", \"v\", \"mask\") scale=1f");
  expect_attention(changed(kAttention, "Softmax(\"masked\")", "Softmax(\"scaled\")"),
                   "= tenon.Attention(\"q\", \"k\", \"v\") scale=0.5f");
  expect_attention(
      changed(kAttention, "-> \"p\"\n",
              "-> \"p0\"\nnode \"nan\" = IsNaN(\"p0\") -> \"isnan\"\n"
              "constant \"z\" fp32[] = 0\nnode \"w\" = Where(\"isnan\", \"z\", \"p0\") -> \"p\"\n"),
      kWhole);
}

TEST(FuseAttention, TakesTheRepetitionOffKeysAndValues) {
  std::string text =
      changed(kAttention, "input \"k\" fp32[b, 4, t, 2]\ninput \"v\" fp32[b, 4, t, 3]\n",
              "input \"k0\" fp32[b, 2, t, 2]\ninput \"v0\" fp32[b, 2, t, 3]\n"
              "constant \"at\" int64[1] = 2\n"
              "constant \"five\" int64[5] = 1 1 2 1 1\n"
              "constant \"ks\" int64[4] = 0 4 -1 2\nconstant \"vs\" int64[4] = 0 4 -1 3\n"
              "node \"ku\" = Unsqueeze(\"k0\", \"at\") -> \"k1\"\n"
              "node \"ke\" = Expand(\"k1\", \"five\") -> \"k2\"\n"
              "node \"kr\" = Reshape(\"k2\", \"ks\") -> \"k\"\n"
              "node \"vu\" = Unsqueeze(\"v0\", \"at\") -> \"v1\"\n"
              "node \"ve\" = Expand(\"v1\", \"five\") -> \"v2\"\n"
              "node \"vr\" = Reshape(\"v2\", \"vs\") -> \"v\"\n");
  expect_attention(text, "(\"q\", \"k0\", \"v0\", \"mask\")");
  // repeated as a whole, head 0 1 0 1: another order
  std::string tiled = changed(text, "constant \"at\" int64[1] = 2", "constant \"at\" int64[1] = 1");
  tiled = changed(tiled, "= 1 1 2 1 1", "= 1 2 1 1 1");
  const Rewritten result = rewrite(passes::fuse_attention, tiled);
  EXPECT_THAT(result.text, HasSubstr("(\"q\", \"k\", \"v\", \"mask\")"));
}

// Heads folded into the batch, as models before fused attention computed it.
const std::string kFolded = R"(input "q4" fp32[b, 4, s, 2]
input "k4" fp32[b, 4, t, 2]
input "v4" fp32[b, 4, t, 2]
constant "fold" int64[3] = -1 5 2
constant "unfold" int64[4] = -1 4 5 2
node "fq" = Reshape("q4", "fold") -> "q"
node "fk" = Reshape("k4", "fold") -> "k"
node "fv" = Reshape("v4", "fold") -> "v"
node "turn" = Transpose("k") perm=[0, 2, 1] -> "kt"
node "product" = MatMul("q", "kt") -> "scores"
constant "scale" fp32[] = 0.5
node "times" = Mul("scores", "scale") -> "scaled"
node "soft" = Softmax("scaled") axis=-1 -> "p"
node "mix" = MatMul("p", "v") -> "y3"
node "out" = Reshape("y3", "unfold") -> "y"
output "y"
)";

std::string folded() {
  std::string text = kFolded;
  for (const char* size : {"[b, 4, s, 2]", "[b, 4, t, 2]", "[b, 4, t, 2]"})
    text = changed(text, size, "[b, 4, 5, 2]");
  return text;
}

TEST(FuseAttention, TakesKeysTurnedAtOnce) {
  const std::string text =
      changed(changed(kAttention, "input \"k\" fp32[b, 4, t, 2]", "input \"k\" fp32[b, t, 4, 2]"),
              "perm=[0, 1, 3, 2]", "perm=[0, 2, 3, 1]");
  const Rewritten result = rewrite(passes::fuse_attention, text);
  EXPECT_EQ(result.rewrites, 1);
  EXPECT_EQ(ops_of(result.text), "Transpose tenon.Attention");
  EXPECT_THAT(result.text, HasSubstr("= Transpose(\"k\") perm=[0, 2, 1, 3]"));
}

TEST(FuseAttention, TakesHeadsOutOfTheBatch) {
  expect_attention(folded(), "= tenon.Attention(\"q4\", \"k4\", \"v4\") scale=0.5f -> \"y\"");
  // the sum that baddbmm writes for an operand that it does not have
  const std::string sum = changed(
      changed(folded(), "Softmax(\"scaled\")", "Softmax(\"sum\")"), "node \"soft\"",
      "node \"sizes\" = Shape(\"scaled\") -> \"sizes\"\n"
      "node \"empty\" = ConstantOfShape(\"sizes\") -> \"memory\"\n"
      "constant \"beta\" fp32[] = 0\nnode \"none\" = Mul(\"memory\", \"beta\") -> \"nothing\"\n"
      "node \"add\" = Add(\"nothing\", \"scaled\") -> \"sum\"\nnode \"soft\"");
  expect_attention(sum, "= tenon.Attention(\"q4\", \"k4\", \"v4\") scale=0.5f -> \"y\"");
  // a mask of batch and heads between two reshapes
  const std::string masked =
      changed(changed(folded(), "Softmax(\"scaled\")", "Softmax(\"back\")"), "node \"soft\"",
              "input \"mask\" fp32[b, 1, 5, 5]\nconstant \"four\" int64[4] = -1 4 5 5\n"
              "constant \"three\" int64[3] = -1 5 5\nnode \"f4\" = Reshape(\"scaled\", \"four\") "
              "-> \"s4\"\n"
              "node \"hide\" = Add(\"s4\", \"mask\") -> \"m4\"\n"
              "node \"f3\" = Reshape(\"m4\", \"three\") -> \"back\"\nnode \"soft\"");
  expect_attention(masked,
                   "= tenon.Attention(\"q4\", \"k4\", \"v4\", \"mask\") scale=0.5f -> \"y\"");
  // the sizes of what is folded are asked for
  const std::string sized = changed(
      folded(), "node \"out\" = Reshape(\"y3\", \"unfold\")",
      "node \"shape\" = Shape(\"y3\") -> \"sizes\"\nconstant \"at\" int64[1] = 1\n"
      "node \"tokens\" = Gather(\"sizes\", \"at\") -> \"n\"\nconstant \"some\" int64[2] = -1 4\n"
      "constant \"two\" int64[1] = 2\n"
      "node \"join\" = Concat(\"some\", \"n\", \"two\") axis=0 -> \"to\"\n"
      "node \"out\" = Reshape(\"y3\", \"to\")");
  expect_attention(sized, "= tenon.Attention(\"q4\", \"k4\", \"v4\") scale=0.5f -> \"y\"");
  // what heads are is not said: each is a batch entry of its own
  expect_attention(folded() + "output \"y3\"\n",
                   "= tenon.Attention(\"q\", \"k\", \"v\") head_dim=2 kv_heads=1 q_heads=1");
  // a mask of folded heads
  const Rewritten result = rewrite(
      passes::fuse_attention,
      changed(changed(folded(), "Softmax(\"scaled\")", "Softmax(\"sum\")"), "node \"soft\"",
              "input \"bias\" fp32[4 * b, 5, 5]\nnode \"add\" = Add(\"bias\", \"scaled\") -> "
              "\"sum\"\nnode \"soft\""));
  EXPECT_EQ(result.rewrites, 0);
}

TEST(FuseAttention, TakesTheStandardOperator) {
  const std::string four = R"(input "q" fp32[b, 4, s, 2]
input "k" fp32[b, 2, s, 2]
input "v" fp32[b, 2, s, 3]
node "a" = Attention("q", "k", "v") is_causal=1 scale=0.5f -> "y"
output "y"
)";
  const Rewritten causal = rewrite(passes::fuse_attention, four);
  EXPECT_THAT(causal.text,
              HasSubstr("= tenon.Attention(\"q\", \"k\", \"v\") is_causal=1 scale=0.5f"));
  const std::string rows = R"(input "q" fp32[b, s, 8]
input "k" fp32[b, t, 4]
input "v" fp32[b, t, 4]
input "mask" bool[s, t]
node "a" = Attention("q", "k", "v", "mask") q_num_heads=4 kv_num_heads=2 -> "y"
output "y"
)";
  const Rewritten three = rewrite(passes::fuse_attention, rows);
  EXPECT_THAT(three.text,
              HasSubstr("= tenon.Attention(\"q\", \"k\", \"v\", \"mask\") head_dim=2 kv_heads=2 "
                        "q_heads=4 scale=0.70710"));
  expect_left_alone(passes::fuse_attention, changed(four, "scale=0.5f", "scale=0.5f softcap=2f"));
}

TEST(FuseAttention, LeavesOtherFormulasAlone) {
  const auto miss = [](std::string_view from, std::string_view to) {
    SCOPED_TRACE(from);
    expect_left_alone(passes::fuse_attention, changed(kAttention, from, to));
  };
  // the mask is scaled too
  expect_left_alone(
      passes::fuse_attention,
      changed(changed(kAttention, "Mul(\"scores\", \"scale\")", "Add(\"scores\", \"mask\")"),
              "Add(\"scaled\", \"mask\")", "Mul(\"scaled\", \"scale\")"));
  miss("axis=-1", "axis=2");
  miss("Softmax", "LogSoftmax");
  miss("Mul(\"scores\", \"scale\")", "Mul(\"scores\", \"scores\")");
  miss("fp32[] = 0.5", "fp32[4, 1, 1] = 0.5 0.25 1 2");
  // two masks
  miss("node \"soft\" = Softmax(\"masked\")",
       "node \"more\" = Add(\"masked\", \"mask\") -> \"masked2\"\n"
       "node \"soft\" = Softmax(\"masked2\")");
  // keys and values that broadcast over heads or the batch are not what the op takes
  miss("input \"v\" fp32[b, 4, t, 3]", "input \"v\" fp32[b, 1, t, 3]");
  miss("input \"v\" fp32[b, 4, t, 3]", "input \"v\" fp32[t, 3]");
  miss("input \"v\" fp32[b, 4, t, 3]", "input \"v\" fp32[t]");
  miss("input \"q\" fp32[b, 4, s, 2]", "input \"q\" fp32[b, 1, s, 2]");
  miss("input \"mask\" fp32[b, 1, s, t]", "input \"mask\" fp32[5, b, 1, s, t]");
}

TEST(FuseAttention, AFullMaskOfSumsIsNoDeeperThanItMustBe) {
  // A chain of sums below the softmax, far longer than the stack could follow by recursion.
  graph::Graph graph;
  const graph::ValueId x = graph.add_input("x", DType::f32, {Dim(1), Dim(1), Dim(2), Dim(2)});
  graph::ValueId sum = x;
  for (int i = 0; i < 100000; ++i) sum = graph.add("Add", "s", {sum, x});
  const graph::ValueId p = graph.add("Softmax", "p", {sum}, {{"axis", std::int64_t{-1}}});
  graph.mark_output(graph.add("MatMul", "y", {p, x}), "y");
  EXPECT_EQ(passes::fuse_attention(graph, {}), 0);
}

}  // namespace
}  // namespace tenon::planner
