// The pass that folds normalizations into convolutions: text in, text out, and the same results.
#include <gtest/gtest.h>

#include "passes/passes.h"
#include "planner/pass_test_support.h"

namespace tenon::planner {
namespace {

using passes::fold_batch_norm;

const std::string kNorm =
    "constant \"g\" fp32[4] = 1 -2 0.5 3\nconstant \"b\" fp32[4] = 0.25 1 -1 2\n"
    "constant \"m\" fp32[4] = 0.5 -0.5 0.125 1\nconstant \"v\" fp32[4] = 1 0.25 4 2\n";
const std::string kApply =
    "node \"n\" = BatchNormalization(\"c\", \"g\", \"b\", \"m\", \"v\") -> \"y\"\noutput \"y\"\n";

TEST(FoldBatchNorm, BecomesPartOfTheWeights) {
  const char* lines[] = {
      "input \"x\" fp32[n, 2, 3]\nconstant \"w\" fp32[4, 2, 1] = 1 2 3 4 5 6 7 8\n"
      "node \"conv\" = Conv(\"x\", \"w\") -> \"c\"\n",
      "input \"x\" fp32[n, 2, 3]\nconstant \"w\" fp32[4, 1, 2] = 1 2 3 4 5 6 7 8\n"
      "constant \"bias\" fp32[4] = 1 2 3 4\n"
      "node \"conv\" = Conv(\"x\", \"w\", \"bias\") group=2 pads=[1, 0] -> \"c\"\n",
      "input \"x\" fp32[n, 2, 3]\n"
      "constant \"w\" fp32[2, 4, 2] = 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
      "node \"conv\" = ConvTranspose(\"x\", \"w\") strides=[2] -> \"c\"\n",
      "input \"x\" fp32[n, 2, 3]\nconstant \"w\" fp32[2, 2, 2] = 1 2 3 4 5 6 7 8\n"
      "constant \"bias\" fp32[4] = 1 2 3 4\n"
      "node \"conv\" = ConvTranspose(\"x\", \"w\", \"bias\") group=2 -> \"c\"\n",
  };
  for (const std::string line : lines) {
    const auto result = rewrite(fold_batch_norm, line + kNorm + kApply);
    EXPECT_EQ(result.rewrites, 1) << line;
    EXPECT_TRUE(ops_of(result.text).starts_with("Conv")) << result.text;
    EXPECT_EQ(ops_of(result.text).find(' '), std::string::npos) << result.text;
  }
}

TEST(FoldBatchNorm, LeavesWhatOthersRead) {
  const std::string conv =
      "input \"x\" fp32[n, 2, 3]\nconstant \"w\" fp32[4, 2, 1] = 1 2 3 4 5 6 7 8\n"
      "node \"conv\" = Conv(\"x\", \"w\") -> \"c\"\n";
  EXPECT_EQ(rewrite(fold_batch_norm, conv + kNorm + kApply + "output \"c\"\n").rewrites, 0);
  const std::string given =
      "input \"x\" fp32[n, 2, 3]\ninput \"w\" fp32[4, 2, 1]\n"
      "node \"conv\" = Conv(\"x\", \"w\") -> \"c\"\n";
  EXPECT_EQ(rewrite(fold_batch_norm, given + kNorm + kApply).rewrites, 0);
  const std::string plain = "input \"x\" fp32[n, 4, 3]\nnode \"neg\" = Neg(\"x\") -> \"c\"\n";
  EXPECT_EQ(rewrite(fold_batch_norm, plain + kNorm + kApply).rewrites, 0);
}

}  // namespace
}  // namespace tenon::planner
