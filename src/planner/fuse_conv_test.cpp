// Convolutions take what stands around them: each form with the same results, near misses left
// alone.
#include <gmock/gmock.h>

#include "passes/passes.h"
#include "planner/image_test_support.h"

namespace tenon::planner {
namespace {

using testing::HasSubstr;
using testing::Not;

// All passes over pictures, as they stand in the list.
int turn_and_fuse(graph::Graph& graph, const passes::PassContext& context) {
  int rewrites = passes::fuse_group_norm(graph, context);
  graph.tidy();
  rewrites += passes::channels_last(graph, context);
  graph.tidy();
  graph::verify(graph);
  rewrites += passes::fuse_conv_input(graph, context);
  graph.tidy();
  graph::verify(graph);
  return rewrites + passes::fuse_conv(graph, context);
}

Rewritten fuse(const std::string& text) {
  return rewrite(turn_and_fuse, text, {{"n", 2}, {"h", 6}, {"w", 5}}, kConvolutions);
}

const std::string kPicture = "input \"x\" fp32[n, 4, h, w]\n";

// What becomes of `nodes` from "a" (of a first convolution) to "b" (read by a last one).
std::string ops_between(const std::string& nodes, std::int64_t channels = 4) {
  const Rewritten result = fuse(kPicture + convolution("first", "x", "a", 4, 4) + nodes +
                                convolution("last", "b", "y", channels, 4) + "output \"y\"\n");
  return ops_of(result.text);
}

std::string norm(std::string_view from, std::string_view to, std::int64_t channels = 4) {
  return numbers(fmt::format("{}.gamma", to), {channels}) +
         numbers(fmt::format("{}.beta", to), {channels}) +
         fmt::format(
             "node \"{1}.norm\" = GroupNormalization(\"{0}\", \"{1}.gamma\", \"{1}.beta\") "
             "num_groups=2 -> \"{1}\"\n",
             from, to);
}

TEST(FuseConvInput, TakesTheNormAndItsActivation) {
  const std::string edges = "Transpose tenon.Conv tenon.GroupScale tenon.Conv Transpose";
  EXPECT_EQ(ops_between(norm("a", "b")), edges);
  EXPECT_EQ(ops_between(norm("a", "c") + "node \"s\" = Swish(\"c\") -> \"b\"\n"), edges);
  EXPECT_EQ(ops_between(norm("a", "c") + "node \"s\" = Relu(\"c\") -> \"b\"\n"),
            "Transpose tenon.Conv tenon.GroupScale tenon.ScaleShift tenon.Conv Transpose");
  EXPECT_EQ(ops_between(norm("a", "c") + "node \"s\" = Tanh(\"c\") -> \"b\"\n"),
            "Transpose tenon.Conv tenon.GroupScale tenon.ScaleShift Tanh tenon.Conv Transpose");
}

TEST(FuseConvInput, ANormWithOtherReadersStays) {
  EXPECT_EQ(ops_between(norm("a", "c") + "node \"e\" = Exp(\"c\") -> \"d\"\n" +
                        "node \"m\" = Mul(\"c\", \"d\") -> \"b\"\n"),
            "Transpose tenon.Conv tenon.GroupScale tenon.ScaleShift Exp Mul tenon.Conv Transpose");
}

TEST(FuseConvInput, TakesNearestUpsamplingByTwo) {
  const auto resize = [](std::string_view scales, std::string_view modes) {
    return ops_between(
        fmt::format("constant \"s\" fp32[4] = {}\n"
                    "node \"r\" = Resize(\"a\", -, \"s\") {} -> \"b\"\n",
                    scales, modes));
  };
  const std::string fused = "Transpose tenon.Conv tenon.Conv Transpose";
  const std::string apart = "Transpose tenon.Conv Resize tenon.Conv Transpose";
  const std::string floor = "coordinate_transformation_mode=\"asymmetric\" nearest_mode=\"floor\"";
  EXPECT_EQ(resize("1 1 2 2", floor), fused);
  EXPECT_EQ(resize("1 1 2 2", ""), fused);
  EXPECT_EQ(resize("1 1 2 3", floor), apart);
  EXPECT_EQ(resize("1 1 3 3", floor), apart);
  EXPECT_EQ(
      resize("1 1 2 2", "coordinate_transformation_mode=\"asymmetric\" nearest_mode=\"ceil\""),
      apart);
  EXPECT_EQ(resize("1 1 2 2", "nearest_mode=\"floor\""), apart);
  EXPECT_EQ(resize("1 1 2 2", "mode=\"linear\""), apart);
  EXPECT_EQ(resize("1 1 2 2", "coordinate_transformation_mode=\"align_corners\""), apart);
}

TEST(FuseConvInput, TakesPaddingWithZeros) {
  const auto pad = [](std::string_view pads, std::string_view attributes) {
    return ops_between(
        fmt::format("constant \"p\" int64[8] = {}\n"
                    "node \"r\" = Pad(\"a\", \"p\") {} -> \"b\"\n",
                    pads, attributes));
  };
  const std::string apart = "Transpose tenon.Conv Pad tenon.Conv Transpose";
  EXPECT_EQ(pad("0 0 0 1 0 0 2 1", ""), "Transpose tenon.Conv tenon.Conv Transpose");
  EXPECT_EQ(pad("0 0 0 1 0 0 2 1", "mode=\"edge\""), apart);
  EXPECT_EQ(pad("0 0 -1 1 0 0 2 1", ""), apart);
}

TEST(FuseConvInput, PaddingBeforeUpsamplingStaysThere) {
  EXPECT_EQ(ops_between("constant \"p\" int64[8] = 0 0 1 1 0 0 1 1\n"
                        "node \"q\" = Pad(\"a\", \"p\") -> \"c\"\n"
                        "constant \"s\" fp32[4] = 1 1 2 2\n"
                        "node \"r\" = Resize(\"c\", -, \"s\") -> \"b\"\n"),
            "Transpose tenon.Conv Pad tenon.Conv Transpose");
  // The norm sees the padding: it may not come after it.
  EXPECT_EQ(ops_between("constant \"p\" int64[8] = 0 0 1 1 0 0 1 1\n"
                        "node \"q\" = Pad(\"a\", \"p\") -> \"c\"\n" +
                        norm("c", "b")),
            "Transpose tenon.Conv Pad tenon.GroupScale tenon.Conv Transpose");
  EXPECT_EQ(ops_between(norm("a", "c") + "constant \"p\" int64[8] = 0 0 1 1 0 0 1 1\n"
                                         "node \"q\" = Pad(\"c\", \"p\") -> \"b\"\n"),
            "Transpose tenon.Conv tenon.GroupScale tenon.Conv Transpose");
}

TEST(FuseConvInput, TakesTwoInputsInOne) {
  const std::string text =
      kPicture + convolution("first", "x", "a", 4, 4) + convolution("skip", "a", "z", 4, 2) +
      "node \"j\" = Concat(\"a\", \"z\") axis=1 -> \"c\"\n" + norm("c", "d", 6) +
      "node \"s\" = Swish(\"d\") -> \"e\"\n" + convolution("main", "e", "f", 6, 4) +
      convolution("shortcut", "c", "g", 6, 4, 1) +
      "node \"sum\" = Add(\"g\", \"f\") -> \"y\"\noutput \"y\"\n";
  const Rewritten result = fuse(text);
  EXPECT_EQ(ops_of(result.text),
            "Transpose tenon.Conv tenon.Conv tenon.Conv tenon.GroupScale tenon.Conv Transpose")
      << result.text;
  // The one computed last takes the other as its residual.
  EXPECT_THAT(result.text, HasSubstr("\"main.bias\", \"g@channels_last\", -, \""));
}

TEST(FuseConv, TakesBiasImageBiasActivationAndResidual) {
  const std::string text = kPicture + "input \"t\" fp32[n, 4]\n" + numbers("w", {4, 4, 3, 3}) +
                           "node \"c\" = Conv(\"x\", \"w\") pads=[1, 1, 1, 1] -> \"a\"\n" +
                           numbers("o", {4, 1, 1}) +
                           "node \"p\" = Add(\"o\", \"a\") -> \"b\"\n"
                           "constant \"axes\" int64[2] = 2 3\n"
                           "node \"u\" = Unsqueeze(\"t\", \"axes\") -> \"v\"\n"
                           "node \"q\" = Add(\"b\", \"v\") -> \"d\"\n"
                           "node \"r\" = Swish(\"d\") -> \"e\"\n"
                           "node \"s\" = Add(\"x\", \"e\") -> \"y\"\noutput \"y\"\n";
  const Rewritten result = fuse(text);
  EXPECT_EQ(ops_of(result.text), "Transpose tenon.Conv Transpose") << result.text;
  EXPECT_THAT(result.text, HasSubstr("activation=\"silu\""));
}

TEST(FuseConv, TakesNoMoreThanItMay) {
  const std::string residual = "node \"s\" = Add(\"a\", \"x\") -> \"b\"\n";
  EXPECT_EQ(ops_between(residual), "Transpose tenon.Conv tenon.Conv Transpose");
  // After the residual comes no activation.
  EXPECT_EQ(ops_between("node \"s\" = Add(\"a\", \"x\") -> \"c\"\n"
                        "node \"r\" = Relu(\"c\") -> \"b\"\n"),
            "Transpose tenon.Conv Relu tenon.Conv Transpose");
  // Two readers of the bare result.
  EXPECT_EQ(ops_between("node \"r\" = Relu(\"a\") -> \"c\"\n"
                        "node \"s\" = Mul(\"a\", \"c\") -> \"b\"\n"),
            "Transpose tenon.Conv Relu Mul tenon.Conv Transpose");
  EXPECT_EQ(ops_between("constant \"low\" fp32[] = 0\nconstant \"high\" fp32[] = 6\n"
                        "node \"r\" = Clip(\"a\", \"low\", \"high\") -> \"b\"\n"),
            "Transpose tenon.Conv Clip tenon.Conv Transpose");
  EXPECT_EQ(ops_between("node \"s\" = Add(\"a\", \"a\") -> \"b\"\n"),
            "Transpose tenon.Conv Add tenon.Conv Transpose");
}

TEST(FuseConv, AResidualThatDependsOnTheResultIsTakenByTheOther) {
  const std::string text = kPicture + convolution("one", "x", "a", 4, 4) +
                           convolution("two", "a", "b", 4, 4) +
                           "node \"s\" = Add(\"a\", \"b\") -> \"y\"\noutput \"y\"\n";
  const Rewritten result = fuse(text);
  EXPECT_EQ(ops_of(result.text), "Transpose tenon.Conv tenon.Conv Transpose");
  EXPECT_THAT(result.text, HasSubstr("\"two.bias\", \"a@channels_last\")"));
}

const std::string kInstance =
    "input \"x\" fp32[n, 4, h, w]\nconstant \"g\" int64[3] = 0 2 -1\n"
    "node \"split\" = Reshape(\"x\", \"g\") -> \"a\"\n"
    "constant \"ones\" fp32[2] = 1 1\nconstant \"zeros\" fp32[2] = 0 0\n"
    "node \"i\" = InstanceNormalization(\"a\", \"ones\", \"zeros\") epsilon=0.001f -> \"b\"\n"
    "node \"shape\" = Shape(\"x\") -> \"sizes\"\n"
    "node \"back\" = Reshape(\"b\", \"sizes\") -> \"c\"\n"
    "constant \"w\" fp32[4, 1, 1] = 1 2 3 4\nnode \"m\" = Mul(\"c\", \"w\") -> \"d\"\n"
    "constant \"o\" fp32[4, 1, 1] = 1 0 2 -1\nnode \"p\" = Add(\"d\", \"o\") -> \"y\"\n"
    "output \"y\"\n";

std::string changed(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(FuseGroupNorm, TakesTheFormsOfExporters) {
  const auto expect = [](const std::string& text) {
    const Rewritten result = rewrite(passes::fuse_group_norm, text, {}, kConvolutions);
    EXPECT_EQ(ops_of(result.text), "GroupNormalization") << result.text;
    EXPECT_THAT(result.text, HasSubstr("epsilon=0.001f num_groups=2 -> \"y\""));
  };
  expect(kInstance);
  expect(changed(kInstance, "\"c\", \"w\"", "\"w\", \"c\""));
  expect(changed(kInstance, "fp32[4, 1, 1] = 1 0", "fp32[1, 4, 1, 1] = 1 0"));
  const std::string formula =
      "constant \"axis\" int64[1] = 2\nnode \"mu\" = ReduceMean(\"a\", \"axis\") -> \"mean\"\n"
      "node \"sub\" = Sub(\"a\", \"mean\") -> \"z\"\nnode \"sq\" = Mul(\"z\", \"z\") -> \"zz\"\n"
      "node \"var\" = ReduceMean(\"zz\", \"axis\") -> \"v\"\nconstant \"e\" fp32[] = 0.001\n"
      "node \"ve\" = Add(\"v\", \"e\") -> \"s\"\nnode \"root\" = Sqrt(\"s\") -> \"r\"\n"
      "node \"div\" = Div(\"z\", \"r\") -> \"b\"\n";
  const std::string decomposed = changed(
      kInstance,
      "node \"i\" = InstanceNormalization(\"a\", \"ones\", \"zeros\") epsilon=0.001f -> \"b\"\n",
      formula);
  expect(decomposed);
  expect(changed(decomposed, "node \"div\" = Div(\"z\", \"r\") -> \"b\"\n",
                 "node \"inv\" = Reciprocal(\"r\") -> \"f\"\n"
                 "node \"mul\" = Mul(\"f\", \"z\") -> \"b\"\n"));
}

TEST(FuseGroupNorm, LeavesOtherFormulasAlone) {
  const auto miss = [](std::string_view from, std::string_view to) {
    SCOPED_TRACE(from);
    expect_left_alone(passes::fuse_group_norm, changed(kInstance, from, to));
  };
  miss("fp32[2] = 1 1", "fp32[2] = 1 2");
  miss("fp32[2] = 0 0", "fp32[2] = 0 1");
  miss("fp32[4, 1, 1] = 1 2 3 4", "fp32[1] = 3");
  miss("fp32[4, 1, 1] = 1 2 3 4", "fp32[] = 3");
}

}  // namespace
}  // namespace tenon::planner
