// The passes that drop, fold and merge: text in, text out, and the same results.
#include <gmock/gmock.h>

#include "base/error.h"
#include "passes/passes.h"
#include "planner/pass_test_support.h"

namespace tenon::planner {
namespace {

using passes::fold_constants;
using passes::merge_duplicates;
using passes::simplify;
using testing::HasSubstr;

TEST(Simplify, DropsWhatChangesNothing) {
  const char* lines[] = {
      "node \"n\" = Identity(\"a\") -> \"b\"\n",
      "node \"n\" = Cast(\"a\") to=1 -> \"b\"\n",
      "constant \"s\" int64[2] = 3 4\nnode \"n\" = Reshape(\"a\", \"s\") -> \"b\"\n",
      "constant \"s\" int64[2] = 1 1\nnode \"n\" = Expand(\"a\", \"s\") -> \"b\"\n",
      "constant \"s\" int64[2] = 1 1\nnode \"n\" = Tile(\"a\", \"s\") -> \"b\"\n",
      "constant \"s\" int64[1] = 0\nconstant \"e\" int64[1] = 9\n"
      "node \"n\" = Slice(\"a\", \"s\", \"e\", \"s\") -> \"b\"\n",
      "node \"n\" = Transpose(\"a\") perm=[0, 1] -> \"b\"\n",
      "node \"n\" = Transpose(\"a\") perm=[1, 0] -> \"t\"\n"
      "node \"m\" = Transpose(\"t\") perm=[1, 0] -> \"b\"\n",
      "node \"n\" = Transpose(\"a\") -> \"t\"\nnode \"m\" = Transpose(\"t\") perm=[1, 0] -> "
      "\"b\"\n",
      "node \"n\" = Transpose(\"a\") perm=[1, 0] -> \"t\"\nnode \"m\" = Transpose(\"t\") -> "
      "\"b\"\n",
      "constant \"s\" int64[1] = -1\nnode \"n\" = Reshape(\"a\", \"s\") -> \"t\"\n"
      "constant \"u\" int64[2] = 3 4\nnode \"m\" = Reshape(\"t\", \"u\") -> \"b\"\n",
      "constant \"s\" fp32[] = 1\nnode \"n\" = Mul(\"s\", \"a\") -> \"b\"\n",
      "constant \"s\" fp32[1] = 1\nnode \"n\" = Div(\"a\", \"s\") -> \"b\"\n",
      "constant \"s\" fp32[] = 0\nnode \"n\" = Sub(\"a\", \"s\") -> \"b\"\n",
  };
  for (const std::string line : lines) {
    const auto result =
        rewrite(simplify, "input \"x\" fp32[3, 4]\nnode \"in\" = Neg(\"x\") -> \"a\"\n" + line +
                              "node \"out\" = Abs(\"b\") -> \"y\"\noutput \"y\"\n");
    EXPECT_EQ(result.rewrites, 1) << line;
    EXPECT_EQ(ops_of(result.text), "Neg Abs") << line;
  }
}

TEST(Simplify, LeavesWhatChangesSomething) {
  const char* lines[] = {
      "node \"n\" = Cast(\"a\") to=10 -> \"b\"\n",
      "constant \"s\" int64[2] = 4 3\nnode \"n\" = Reshape(\"a\", \"s\") -> \"b\"\n",
      "constant \"s\" int64[2] = 1 2\nnode \"n\" = Tile(\"a\", \"s\") -> \"b\"\n",
      "constant \"s\" int64[1] = -1\nconstant \"e\" int64[1] = -9\nconstant \"q\" int64[1] = 0\n"
      "node \"n\" = Slice(\"a\", \"s\", \"e\", \"q\", \"s\") -> \"b\"\n",
      "node \"n\" = Transpose(\"a\") -> \"b\"\n",
      "constant \"s\" fp32[1, 1, 1] = 1\nnode \"n\" = Mul(\"a\", \"s\") -> \"b\"\n",
      "constant \"s\" fp32[] = 1\nnode \"n\" = Div(\"s\", \"a\") -> \"b\"\n",
      "constant \"s\" fp32[] = 0\nnode \"n\" = Sub(\"s\", \"a\") -> \"b\"\n",
      "constant \"s\" fp32[] = 1\nnode \"n\" = Add(\"s\", \"a\") -> \"b\"\n",
  };
  for (const std::string line : lines) {
    SCOPED_TRACE(line);
    expect_left_alone(simplify, "input \"x\" fp32[3, 4]\nnode \"in\" = Neg(\"x\") -> \"a\"\n" +
                                    line + "node \"out\" = Abs(\"b\") -> \"y\"\noutput \"y\"\n");
  }
}

TEST(Simplify, TransposesThatDoNotUndoEachOtherStay) {
  expect_left_alone(
      simplify,
      "input \"x\" fp32[2, 3, 4]\nnode \"n\" = Transpose(\"x\") perm=[1, 2, 0] -> \"t\"\n"
      "node \"m\" = Transpose(\"t\") perm=[1, 2, 0] -> \"y\"\noutput \"y\"\n");
}

TEST(Simplify, KeepsTheIdentityBetweenInputAndOutput) {
  expect_left_alone(simplify,
                    "input \"x\" fp32[2]\nnode \"n\" = Identity(\"x\") -> \"y\"\noutput \"y\"\n");
  expect_left_alone(simplify,
                    "input \"x\" fp32[2]\nnode \"m\" = Neg(\"x\") -> \"z\"\n"
                    "node \"n\" = Identity(\"z\") -> \"y\"\noutput \"z\"\noutput \"y\"\n");
}

TEST(Simplify, AnOutputKeepsItsName) {
  const auto result = rewrite(simplify,
                              "input \"x\" fp32[2]\nnode \"m\" = Neg(\"x\") -> \"z\"\n"
                              "node \"n\" = Identity(\"z\") -> \"y\"\noutput \"y\"\n");
  EXPECT_EQ(result.text,
            "input \"x\" fp32[2]\nnode \"m\" = Neg(\"x\") -> \"y\" fp32[2]\noutput \"y\"\n");
}

TEST(FoldConstants, ComputesWhatDependsOnConstantsAlone) {
  const auto result =
      rewrite(fold_constants,
              "input \"x\" fp32[2]\nconstant \"a\" fp32[2] = 3 4\n"
              "constant \"b\" fp32[] = 2\nnode \"m\" = Mul(\"a\", \"b\") -> \"ab\"\n"
              "node \"r\" = Sqrt(\"ab\") -> \"root\"\n"
              "node \"s\" = Add(\"x\", \"root\") -> \"y\"\noutput \"y\"\n");
  EXPECT_EQ(result.rewrites, 2);
  EXPECT_EQ(result.text,
            "input \"x\" fp32[2]\nconstant \"root_folded\" fp32[2] = 2.4494898 2.828427\n"
            "node \"s\" = Add(\"x\", \"root_folded\") -> \"y\" fp32[2]\noutput \"y\"\n");
}

TEST(FoldConstants, RearrangesWeights) {
  const auto result = rewrite(fold_constants,
                              "input \"x\" fp32[2, 3]\nconstant \"w\" fp32[2, 3] = 1 2 3 4 5 6\n"
                              "node \"t\" = Transpose(\"w\") perm=[1, 0] -> \"wt\"\n"
                              "node \"c\" = Cast(\"wt\") to=10 -> \"h\"\n"
                              "node \"d\" = Cast(\"h\") to=1 -> \"f\"\n"
                              "node \"s\" = MatMul(\"x\", \"f\") -> \"y\"\noutput \"y\"\n");
  EXPECT_EQ(ops_of(result.text), "MatMul");
  EXPECT_THAT(result.text, HasSubstr("fp32[3, 2] = 1 4 2 5 3 6"));
}

TEST(FoldConstants, ComputesWhatIsKnownFromShapes) {
  const auto result =
      rewrite(fold_constants,
              "input \"x\" fp32[n, 6]\nnode \"s\" = Shape(\"x\") start=1 -> \"width\"\n"
              "constant \"two\" int64[1] = 2\n"
              "node \"d\" = Div(\"width\", \"two\") -> \"half\"\n"
              "constant \"zero\" int64[1] = 0\nconstant \"one\" int64[1] = 1\n"
              "node \"l\" = Slice(\"x\", \"zero\", \"half\", \"one\") -> \"y\"\n"
              "output \"y\"\n");
  EXPECT_EQ(ops_of(result.text), "Slice");
}

TEST(FoldConstants, LeavesWhatDependsOnInputs) {
  expect_left_alone(
      fold_constants,
      "input \"x\" fp32[n]\nnode \"s\" = Shape(\"x\") -> \"count\"\noutput \"count\"\n");
}

TEST(FoldConstants, AnAbsentOutputIsNotRead) {
  const auto result = rewrite(fold_constants,
                              "constant \"a\" fp32[3] = 3 9 4\nconstant \"k\" int64[1] = 2\n"
                              "node \"t\" = TopK(\"a\", \"k\") -> -, \"y\"\noutput \"y\"\n");
  EXPECT_EQ(result.text, "constant \"y\" int64[2] = 1 2\noutput \"y\"\n");
}

TEST(MergeDuplicates, ComputesEqualExpressionsOnce) {
  const auto result =
      rewrite(merge_duplicates,
              "input \"x\" fp32[2]\nconstant \"a\" fp32[] = 2\nconstant \"b\" fp32[] = 2\n"
              "node \"m\" = Mul(\"x\", \"a\") -> \"p\"\nnode \"n\" = Mul(\"x\", \"b\") -> \"q\"\n"
              "node \"o\" = Neg(\"q\") -> \"r\"\nnode \"s\" = Sub(\"r\", \"p\") -> \"y\"\n"
              "output \"y\"\n");
  EXPECT_EQ(result.rewrites, 2);
  EXPECT_EQ(
      result.text,
      "input \"x\" fp32[2]\nconstant \"a\" fp32[] = 2\n"
      "node \"m\" = Mul(\"x\", \"a\") -> \"p\" fp32[2]\nnode \"o\" = Neg(\"p\") -> \"r\" fp32[2]\n"
      "node \"s\" = Sub(\"r\", \"p\") -> \"y\" fp32[2]\noutput \"y\"\n");
}

TEST(MergeDuplicates, DifferentAttributesInputsOrConstantsStayApart) {
  const char* pairs[] = {
      "node \"m\" = Softmax(\"x\") axis=0 -> \"p\"\nnode \"n\" = Softmax(\"x\") axis=1 -> \"q\"\n",
      "node \"m\" = LeakyRelu(\"x\") alpha=0.1f -> \"p\"\n"
      "node \"n\" = LeakyRelu(\"x\") alpha=0.10000001f -> \"q\"\n",
      "node \"m\" = Softmax(\"x\") axis=0 -> \"p\"\nnode \"n\" = LogSoftmax(\"x\") axis=0 -> "
      "\"q\"\n",
      "constant \"a\" fp32[] = 2\nconstant \"b\" fp32[1] = 2\nnode \"m\" = Mul(\"x\", \"a\") -> "
      "\"p\"\n"
      "node \"n\" = Mul(\"x\", \"b\") -> \"q\"\n",
      "constant \"a\" fp32[] = 0\nconstant \"b\" fp32[] = -0\nnode \"m\" = Div(\"x\", \"a\") -> "
      "\"p\"\n"
      "node \"n\" = Div(\"x\", \"b\") -> \"q\"\n",
      "constant \"a\" fp32[] = 2\nnode \"m\" = Pow(\"x\", \"a\") -> \"p\"\n"
      "node \"n\" = Pow(\"a\", \"x\") -> \"q\"\n",
  };
  for (const std::string pair : pairs) {
    SCOPED_TRACE(pair);
    expect_left_alone(merge_duplicates,
                      "input \"x\" fp32[2, 2]\n" + pair +
                          "node \"s\" = Less(\"p\", \"q\") -> \"y\"\noutput \"y\"\n");
  }
}

TEST(MergeDuplicates, OutputsStayTwo) {
  const auto result = rewrite(merge_duplicates,
                              "input \"x\" fp32[2]\nnode \"m\" = Neg(\"x\") -> \"p\"\n"
                              "node \"n\" = Neg(\"x\") -> \"q\"\noutput \"p\"\noutput \"q\"\n");
  EXPECT_EQ(result.rewrites, 0);
}

TEST(Passes, AnUnknownSkippedPassIsRefused) {
  graph::Graph graph = graph::from_text("input \"x\" fp32[2]\noutput \"x\"\n");
  passes::PassContext context;
  context.target.skip_passes = {"fuse_everything"};
  try {
    passes::optimize(graph, context);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::usage);
    EXPECT_THAT(error.what(), HasSubstr("no pass named 'fuse_everything'"));
  }
}

TEST(Passes, ASkippedPassIsReportedAndNotRun) {
  passes::PassContext context;
  context.evaluate = evaluate;
  for (const auto& pass : passes::all_passes()) {
    graph::Graph graph = graph::from_text(
        "input \"x\" fp32[2]\nnode \"a\" = Sigmoid(\"x\") -> \"s\"\n"
        "node \"m\" = Mul(\"x\", \"s\") -> \"y\"\noutput \"y\"\n");
    context.target.skip_passes = {std::string(pass.name)};
    const auto reports = passes::optimize(graph, context);
    ASSERT_EQ(reports.size(), passes::all_passes().size());
    for (const auto& report : reports) EXPECT_EQ(report.skipped, report.name == pass.name);
    const bool fused = graph.order().size() == 1;
    EXPECT_EQ(fused, pass.name != "fuse_swish");
  }
}

}  // namespace
}  // namespace tenon::planner
