// The passes that fuse: each recognises its forms with the same results, and leaves near misses
// alone.
#include <gmock/gmock.h>

#include "passes/passes.h"
#include "planner/pass_test_support.h"

namespace tenon::planner {
namespace {

using testing::HasSubstr;

// Text with `FROM` replaced by `TO`, which must be there: a near miss is a good text with one
// change.
std::string changed(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

void expect_fused(Run pass, const std::string& text, std::string_view ops,
                  double tolerance = kRounding) {
  const Rewritten result = rewrite(pass, text, {}, tolerance);
  EXPECT_GT(result.rewrites, 0) << text;
  EXPECT_EQ(ops_of(result.text), ops) << result.text;
}

const std::string kRmsNorm = R"(input "x" fp32[b, s, 4]
constant "two" fp32[] = 2
node "square" = Pow("x", "two") -> "xx"
constant "axis" int64[1] = -1
node "mean" = ReduceMean("xx", "axis") keepdims=1 -> "m"
constant "e" fp32[] = 0.01
node "plus" = Add("m", "e") -> "me"
node "root" = Sqrt("me") -> "r"
node "inverse" = Reciprocal("r") -> "i"
node "scale" = Mul("x", "i") -> "n"
constant "w" fp32[4] = 1 2 3 4
node "weigh" = Mul("w", "n") -> "y"
output "y"
)";

TEST(FuseRmsNorm, TakesEveryForm) {
  const Rewritten result = rewrite(passes::fuse_rms_norm, kRmsNorm);
  EXPECT_EQ(result.text,
            "input \"x\" fp32[b, s, 4]\nconstant \"w\" fp32[4] = 1 2 3 4\n"
            "node \"weigh_1\" = RMSNormalization(\"x\", \"w\") axis=-1 epsilon=0.01f -> \"y\" "
            "fp32[b, s, 4]\noutput \"y\"\n");
  const auto form = [](std::string_view from, std::string_view to) {
    expect_fused(passes::fuse_rms_norm, changed(kRmsNorm, from, to), "RMSNormalization");
  };
  form("Pow(\"x\", \"two\")", "Mul(\"x\", \"x\")");
  form("= -1", "= 2");
  form("\"m\", \"e\"", "\"e\", \"m\"");
  form("node \"root\" = Sqrt(\"me\") -> \"r\"\nnode \"inverse\" = Reciprocal(\"r\") -> \"i\"",
       "constant \"h\" fp32[] = -0.5\nnode \"inverse\" = Pow(\"me\", \"h\") -> \"i\"");
  form("node \"inverse\" = Reciprocal(\"r\")",
       "constant \"one\" fp32[] = 1\nnode \"inverse\" = Div(\"one\", \"r\")");
  form("node \"inverse\" = Reciprocal(\"r\") -> \"i\"\nnode \"scale\" = Mul(\"x\", \"i\")",
       "node \"scale\" = Div(\"x\", \"r\")");
  form("Mul(\"w\", \"n\")", "Mul(\"n\", \"w\")");
}

TEST(FuseRmsNorm, LeavesOtherFormulasAlone) {
  const auto miss = [](std::string_view from, std::string_view to) {
    SCOPED_TRACE(from);
    expect_left_alone(passes::fuse_rms_norm, changed(kRmsNorm, from, to));
  };
  miss("= -1", "= 1");
  miss("int64[1] = -1", "int64[2] = 1 2");
  miss("fp32[] = 2", "fp32[] = 4");
  miss("fp32[] = 0.01", "fp32[2, 1, 1, 1] = 0.01 0.02");
  miss("fp32[] = 0.01", "fp32[1, 1, 1, 1] = 0.01");  // adds a dimension
  miss("fp32[4] = 1 2 3 4", "fp32[1] = 2");
  miss("fp32[4] = 1 2 3 4", "fp32[2, 1, 1, 4] = 1 2 3 4 5 6 7 8");
  miss("Mul(\"x\", \"i\")", "Mul(\"xx\", \"i\")");
  miss("ReduceMean", "ReduceSum");
}

const std::string kLayerNorm = R"(input "x" fp32[b, 4]
constant "axis" int64[1] = -1
node "mean" = ReduceMean("x", "axis") -> "m"
node "center" = Sub("x", "m") -> "d"
node "square" = Mul("d", "d") -> "dd"
node "variance" = ReduceMean("dd", "axis") -> "v"
constant "e" fp32[] = 0.01
node "plus" = Add("v", "e") -> "ve"
node "root" = Sqrt("ve") -> "r"
node "scale" = Div("d", "r") -> "n"
constant "w" fp32[4] = 1 2 3 4
node "weigh" = Mul("n", "w") -> "p"
constant "bias" fp32[4] = 0.5 -1 0 2
node "shift" = Add("p", "bias") -> "y"
output "y"
)";

TEST(FuseLayerNorm, TakesTheDecomposedForm) {
  const Rewritten result = rewrite(passes::fuse_layer_norm, kLayerNorm);
  EXPECT_EQ(ops_of(result.text), "LayerNormalization");
  EXPECT_THAT(result.text, HasSubstr("(\"x\", \"w\", \"bias\") axis=-1 epsilon=0.01f -> \"y\""));
  expect_fused(passes::fuse_layer_norm,
               changed(kLayerNorm, "Mul(\"d\", \"d\")", "Mul(\"d\", \"d\")"), "LayerNormalization");
}

TEST(FuseLayerNorm, LeavesOtherFormulasAlone) {
  const auto miss = [](std::string_view from, std::string_view to) {
    SCOPED_TRACE(from);
    expect_left_alone(passes::fuse_layer_norm, changed(kLayerNorm, from, to));
  };
  miss("Mul(\"d\", \"d\")", "Mul(\"d\", \"x\")");
  miss("Div(\"d\", \"r\")", "Div(\"x\", \"r\")");
  miss("int64[1] = -1", "int64[1] = 0");
  miss("fp32[4] = 0.5 -1 0 2", "fp32[1] = 0.5");
  std::string narrow = changed(kLayerNorm, "fp32[4] = 0.5 -1 0 2", "fp32[1] = 0.5");
  expect_left_alone(passes::fuse_layer_norm, changed(narrow, "fp32[4] = 1 2 3 4", "fp32[1] = 3"));
}

const std::string kGelu = R"(input "x" fp32[b, 4]
constant "root" fp32[] = 1.4142135
node "div" = Div("x", "root") -> "a"
node "erf" = Erf("a") -> "f"
constant "one" fp32[] = 1
node "add" = Add("f", "one") -> "g"
node "mul" = Mul("x", "g") -> "h"
constant "half" fp32[] = 0.5
node "scale" = Mul("h", "half") -> "y"
output "y"
)";

const std::string kTanhGelu = R"(input "x" fp32[b, 4]
constant "half" fp32[] = 0.5
node "halve" = Mul("half", "x") -> "hx"
constant "three" fp32[] = 3
node "cube" = Pow("x", "three") -> "xxx"
constant "k" fp32[] = 0.044715
node "weigh" = Mul("k", "xxx") -> "kx"
node "sum" = Add("x", "kx") -> "inner"
constant "root" fp32[] = 0.7978846
node "scale" = Mul("root", "inner") -> "argument"
node "tanh" = Tanh("argument") -> "t"
constant "one" fp32[] = 1
node "add" = Add("one", "t") -> "g"
node "mul" = Mul("hx", "g") -> "y"
output "y"
)";

TEST(FuseGelu, TakesBothForms) {
  // Constants are written to 8 digits; the derivative by them is of the order of 1.
  expect_fused(passes::fuse_gelu, kGelu, "Gelu", 1e-6);
  expect_fused(
      passes::fuse_gelu,
      changed(kGelu, "fp32[] = 0.5\nnode \"scale\" = Mul", "fp32[] = 2\nnode \"scale\" = Div"),
      "Gelu", 1e-6);
  const Rewritten tanh = rewrite(passes::fuse_gelu, kTanhGelu, {}, 1e-6);
  EXPECT_THAT(tanh.text, HasSubstr("= Gelu(\"x\") approximate=\"tanh\" -> \"y\""));
}

TEST(FuseGelu, LeavesOtherConstantsAlone) {
  const auto miss = [](const std::string& text, std::string_view from, std::string_view to) {
    SCOPED_TRACE(from);
    expect_left_alone(passes::fuse_gelu, changed(text, from, to));
  };
  miss(kGelu, "1.4142135", "1.702");
  miss(kGelu, "= 0.5", "= 0.5005");
  miss(kGelu, "= 0.5", "= 1");
  miss(kGelu, "fp32[] = 1\n", "fp32[] = 2\n");
  miss(kGelu, "Erf", "Tanh");
  miss(kGelu, "fp32[] = 0.5", "fp32[1, 1, 1] = 0.5");
  miss(kTanhGelu, "0.044715", "0.05");
  miss(kTanhGelu, "0.7978846", "0.85");
  miss(kTanhGelu, "fp32[] = 3", "fp32[] = 2");
}

TEST(FuseSwish, TakesXTimesItsSigmoidOnly) {
  const std::string good =
      "input \"x\" fp32[b]\ninput \"z\" fp32[b]\nnode \"s\" = Sigmoid(\"x\") -> \"g\"\n"
      "node \"m\" = Mul(\"x\", \"g\") -> \"y\"\noutput \"y\"\n";
  expect_fused(passes::fuse_swish, good, "Swish");
  expect_left_alone(passes::fuse_swish, changed(good, "Mul(\"x\"", "Mul(\"z\""));
  expect_left_alone(passes::fuse_swish, changed(good, "Mul", "Add"));
  // quick GELU
  const std::string steep =
      changed(good, "node \"s\" = Sigmoid(\"x\")",
              "constant \"c\" fp32[] = 1.5\nnode \"t\" = Mul(\"x\", \"c\") -> \"cx\"\n"
              "node \"s\" = Sigmoid(\"cx\")");
  const Rewritten result = rewrite(passes::fuse_swish, steep);
  EXPECT_EQ(ops_of(result.text), "Swish");
  EXPECT_THAT(result.text, HasSubstr("alpha=1.5f"));
  expect_left_alone(passes::fuse_swish, changed(steep, "Mul(\"x\", \"g\")", "Mul(\"z\", \"g\")"));
}

const std::string kSwiGlu = R"(input "x" fp32[b, 2]
constant "wg" fp32[2, 3] = 1 2 3 -1 -2 -3
node "gate" = MatMul("x", "wg") -> "g"
constant "wu" fp32[2, 3] = 0.5 1 0 2 1 1
node "up" = MatMul("x", "wu") -> "u"
node "act" = Swish("g") -> "a"
node "mul" = Mul("a", "u") -> "y"
output "y"
)";

TEST(FuseSwiGlu, MakesOneProduct) {
  const Rewritten result = rewrite(passes::fuse_swiglu, kSwiGlu);
  EXPECT_EQ(ops_of(result.text), "MatMul tenon.SwiGlu");
  EXPECT_THAT(result.text, HasSubstr("fp32[2, 6] = 1 2 3 0.5 1 0 -1 -2 -3 2 1 1"));
  std::string biased = changed(kSwiGlu, "-> \"g\"",
                               "-> \"g0\"\nconstant \"bg\" fp32[3] = 1 0 2\n"
                               "node \"bias\" = Add(\"g0\", \"bg\") -> \"g\"");
  expect_left_alone(passes::fuse_swiglu, biased);  // one has a bias, the other none
  biased = changed(biased, "-> \"u\"",
                   "-> \"u0\"\nconstant \"bu\" fp32[3] = 1 1 2\n"
                   "node \"bias2\" = Add(\"u0\", \"bu\") -> \"u\"");
  expect_fused(passes::fuse_swiglu, biased, "MatMul Add tenon.SwiGlu");
  std::string one = changed(biased, "fp32[3] = 1 0 2", "fp32[1] = 1");
  expect_left_alone(passes::fuse_swiglu, changed(one, "fp32[3] = 1 1 2", "fp32[1] = 2"));
}

TEST(FuseSwiGlu, LeavesSharedOrUnlikePartsAlone) {
  expect_left_alone(passes::fuse_swiglu, kSwiGlu + "output \"g\"\n");
  expect_left_alone(passes::fuse_swiglu, kSwiGlu + "output \"u\"\n");
  expect_left_alone(passes::fuse_swiglu, kSwiGlu + "output \"a\"\n");
  expect_left_alone(passes::fuse_swiglu, changed(kSwiGlu, "Swish(\"g\")", "Swish(\"g\") alpha=2f"));
  expect_left_alone(passes::fuse_swiglu,
                    changed(kSwiGlu, "fp32[2, 3] = 0.5 1 0 2 1 1", "fp32[2, 1] = 0.5 1"));
  expect_left_alone(passes::fuse_swiglu,
                    changed(changed(kSwiGlu, "input", "input \"z\" fp32[b, 2]\ninput"),
                            "MatMul(\"x\", \"wu\")", "MatMul(\"z\", \"wu\")"));
}

TEST(FuseSwiGlu, OneFeedsTheNext) {
  // The second gate reads what the first became: a value that was not there when readers were
  // counted.
  const std::string two = changed(kSwiGlu, "output \"y\"\n",
                                  "constant \"wv\" fp32[3, 3] = 1 0 0 0 1 0 0 0 1\n"
                                  "node \"again\" = Swish(\"y\") -> \"b\"\n"
                                  "node \"last\" = Mul(\"b\", \"y\") -> \"z\"\noutput \"z\"\n");
  expect_fused(passes::fuse_swiglu, two, "MatMul tenon.SwiGlu Swish Mul");
}

const std::string kGeGlu = R"(input "x" fp32[b, s, 6]
constant "sizes" int64[2] = 3 3
node "halves" = Split("x", "sizes") axis=-1 -> "h", "g"
node "act" = Gelu("g") -> "a"
node "mul" = Mul("h", "a") -> "y"
output "y"
)";

TEST(FuseGeGlu, TakesEveryWayToHalve) {
  expect_fused(passes::fuse_geglu, kGeGlu, "tenon.GeGlu");
  expect_fused(passes::fuse_geglu, changed(kGeGlu, "Mul(\"h\", \"a\")", "Mul(\"a\", \"h\")"),
               "tenon.GeGlu");
  const std::string sliced =
      changed(kGeGlu,
              "constant \"sizes\" int64[2] = 3 3\nnode \"halves\" = Split(\"x\", \"sizes\") "
              "axis=-1 -> \"h\", \"g\"\n",
              "constant \"from\" int64[1] = 0\nconstant \"middle\" int64[1] = 3\n"
              "constant \"end\" int64[1] = 9223372036854775807\nconstant \"axis\" int64[1] = -1\n"
              "node \"front\" = Slice(\"x\", \"from\", \"middle\", \"axis\") -> \"h\"\n"
              "node \"back\" = Slice(\"x\", \"middle\", \"end\", \"axis\") -> \"g\"\n");
  expect_fused(passes::fuse_geglu, sliced, "tenon.GeGlu");
}

TEST(FuseGeGlu, LeavesOtherProductsAlone) {
  expect_left_alone(passes::fuse_geglu, kGeGlu + "output \"a\"\n");
  // the gate comes first
  expect_left_alone(passes::fuse_geglu, changed(changed(kGeGlu, "Gelu(\"g\")", "Gelu(\"h\")"),
                                                "Mul(\"h\", \"a\")", "Mul(\"g\", \"a\")"));
  expect_left_alone(passes::fuse_geglu,
                    changed(kGeGlu, "Gelu(\"g\")", "Gelu(\"g\") approximate=\"tanh\""));
  // parts that are no halves, or not of the last axis
  expect_left_alone(passes::fuse_geglu,
                    changed(changed(kGeGlu, "fp32[b, s, 6]", "fp32[b, s, 7]"),
                            "constant \"sizes\" int64[2] = 3 3\nnode \"halves\" = Split(\"x\", "
                            "\"sizes\") axis=-1 -> \"h\", \"g\"",
                            "constant \"sizes\" int64[3] = 3 3 1\nnode \"halves\" = Split(\"x\", "
                            "\"sizes\") axis=-1 -> \"h\", \"g\", \"r\""));
  expect_left_alone(passes::fuse_geglu, changed(changed(kGeGlu, "fp32[b, s, 6]", "fp32[b, 6, s]"),
                                                "axis=-1", "axis=1"));
}

const std::string kLinear = R"(input "x" fp32[b, 2]
input "z" fp32[b, 3]
constant "w" fp32[2, 3] = 1 2 3 -1 -2 -3
node "product" = MatMul("x", "w") -> "p"
constant "c" fp32[3] = 1 0 2
node "bias" = Add("c", "p") -> "q"
node "act" = Relu("q") -> "a"
node "residual" = Add("z", "a") -> "y"
output "y"
)";

TEST(FuseLinear, TakesBiasActivationAndResidual) {
  const Rewritten result = rewrite(passes::fuse_linear, kLinear);
  EXPECT_EQ(ops_of(result.text), "tenon.Linear");
  EXPECT_THAT(result.text, HasSubstr("(\"x\", \"w\", \"c\", \"z\") activation=\"relu\" -> \"y\""));
  expect_fused(passes::fuse_linear, changed(kLinear, "Relu(\"q\")", "Swish(\"q\")"),
               "tenon.Linear");
  expect_fused(passes::fuse_linear, changed(kLinear, "Relu(\"q\")", "Gelu(\"q\")"), "tenon.Linear");
  expect_fused(passes::fuse_linear,
               changed(kLinear, "Relu(\"q\")", "Gelu(\"q\") approximate=\"tanh\""), "tenon.Linear");
}

TEST(FuseLinear, TakesGemm) {
  const std::string gemm = R"(input "x" fp32[b, 2]
constant "w" fp32[3, 2] = 1 2 3 -1 -2 -3
constant "c" fp32[3] = 1 0 2
node "gemm" = Gemm("x", "w", "c") transB=1 -> "q"
node "act" = Relu("q") -> "y"
output "y"
)";
  const Rewritten result = rewrite(passes::fuse_linear, gemm);
  EXPECT_EQ(ops_of(result.text), "tenon.Linear");
  EXPECT_THAT(result.text, HasSubstr("fp32[2, 3] = 1 3 -2 2 -1 -3"));
  expect_fused(passes::fuse_linear,
               changed(changed(gemm, "fp32[3, 2]", "fp32[2, 3]"), "transB=1", ""), "tenon.Linear");
  expect_left_alone(passes::fuse_linear, changed(gemm, "transB=1", "transB=1 alpha=2f"));
  expect_left_alone(passes::fuse_linear, changed(gemm, "transB=1", "transB=1 beta=2f"));
  expect_left_alone(passes::fuse_linear, changed(gemm, "fp32[3] = 1 0 2", "fp32[1] = 1"));
}

TEST(FuseLinear, TakesNoMoreThanItMay) {
  const auto leaves = [](const std::string& text, std::string_view ops) {
    expect_fused(passes::fuse_linear, text, ops);
  };
  leaves(kLinear + "output \"p\"\n", "tenon.Linear Add Relu Add");
  leaves(kLinear + "output \"q\"\n", "tenon.Linear Relu Add");
  leaves(kLinear + "output \"a\"\n", "tenon.Linear Add");
  leaves(changed(kLinear, "fp32[3] = 1 0 2", "fp32[1] = 1"), "tenon.Linear Add Relu Add");
  leaves(changed(kLinear, "Relu(\"q\")", "Swish(\"q\") alpha=2f"), "tenon.Linear Swish Add");
  leaves(changed(kLinear, "input \"z\" fp32[b, 3]", "input \"z\" fp32[3]"), "tenon.Linear Add");
  leaves(changed(kLinear, "Add(\"z\", \"a\")", "Add(\"a\", \"a\")"), "tenon.Linear Add");
  // An activation after the residual is not the product's own.
  leaves(changed(kLinear, "-> \"y\"", "-> \"r\"\nnode \"late\" = Relu(\"r\") -> \"y\""),
         "tenon.Linear Relu");
}

TEST(FuseLinear, AResidualThatDependsOnTheProductStays) {
  const std::string text = R"(input "x" fp32[b, 2]
constant "w" fp32[2, 2] = 1 2 3 -1
node "p1" = MatMul("x", "w") -> "a"
node "n" = Neg("a") -> "m"
node "p2" = MatMul("m", "w") -> "c"
node "sum" = Add("a", "c") -> "y"
output "y"
)";
  // The second product may take the first as residual, never the other way round.
  const Rewritten result = rewrite(passes::fuse_linear, text);
  EXPECT_EQ(ops_of(result.text), "tenon.Linear Neg tenon.Linear");
  EXPECT_THAT(result.text, HasSubstr("(\"m\", \"w\", -, \"a\")"));
}

TEST(FuseLinear, LeavesProductsOfTwoInputsAlone) {
  expect_left_alone(passes::fuse_linear,
                    "input \"x\" fp32[b, 2]\ninput \"w\" fp32[2, 3]\n"
                    "node \"p\" = MatMul(\"x\", \"w\") -> \"y\"\noutput \"y\"\n");
  expect_left_alone(passes::fuse_linear,
                    "input \"x\" fp32[2]\nconstant \"w\" fp32[2, 1] = 1 2\n"
                    "node \"p\" = MatMul(\"x\", \"w\") -> \"y\"\noutput \"y\"\n");
}

}  // namespace
}  // namespace tenon::planner
