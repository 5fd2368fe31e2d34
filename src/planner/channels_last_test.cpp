// Graphs of pictures turn channels last with the same results, and with changes of order at the
// edges only.
#include <gmock/gmock.h>

#include "passes/passes.h"
#include "planner/image_test_support.h"

namespace tenon::planner {
namespace {

using testing::HasSubstr;

Rewritten turn(const std::string& text, const Dim::Bindings& sizes = {{"h", 6}, {"w", 5}}) {
  return rewrite(passes::channels_last, text, sizes, kConvolutions);
}

// Between two convolutions of 4 channels each, on pictures [n, 4, h, w].
std::string between(const std::string& nodes, std::int64_t channels = 4) {
  return "input \"x\" fp32[n, 4, h, w]\n" + convolution("first", "x", "a", 4, 4) + nodes +
         convolution("last", "b", "y", channels, 4) + "output \"y\"\n";
}

void expect_edges_only(const std::string& text) {
  SCOPED_TRACE(text);
  const Rewritten result = turn(text);
  EXPECT_EQ(count_ops(result.text, "Conv"), 0) << result.text;
  EXPECT_LE(count_ops(result.text, "Transpose"), 2) << result.text;
}

TEST(ChannelsLast, OneConvolution) {
  const Rewritten result =
      turn("input \"x\" fp32[n, 2, h, w]\n" + convolution("c", "x", "y", 2, 3) + "output \"y\"\n");
  EXPECT_EQ(ops_of(result.text), "Transpose tenon.Conv Transpose");
  EXPECT_THAT(result.text, HasSubstr("fp32[18, 3] ="));
  EXPECT_THAT(result.text, HasSubstr("-> \"y\" fp32[n, 3, h, w]"));
  EXPECT_THAT(result.text, HasSubstr("kernel_shape=[3, 3]"));
}

TEST(ChannelsLast, EveryFormOfConvolution) {
  const auto form = [](std::int64_t channels, std::int64_t results, std::int64_t kernel,
                       std::string_view attributes, bool converts = true) {
    const std::string text =
        fmt::format("input \"x\" fp32[2, {}, 7, 6]\n",
                    attributes.find("group=4") == std::string::npos ? channels : channels * 4) +
        convolution("c", "x", "y", channels, results, kernel, attributes) + "output \"y\"\n";
    SCOPED_TRACE(text);
    const Rewritten result = turn(text);
    EXPECT_EQ(result.rewrites, converts ? 1 : 0);
  };
  form(3, 5, 1, "");
  form(3, 5, 3, "strides=[2, 2]");
  form(3, 5, 3, "strides=[2, 1] pads=[0, 1, 2, 3]");
  form(3, 5, 3, "dilations=[2, 1] pads=[2, 1, 2, 1]");
  form(3, 5, 3, "auto_pad=\"SAME_UPPER\"");
  form(3, 5, 2, "auto_pad=\"SAME_LOWER\" strides=[2, 2]");
  form(3, 5, 2, "auto_pad=\"VALID\"");
  form(1, 4, 3, "group=4 pads=[1, 1, 1, 1]");
  form(1, 8, 3, "group=4");
  form(2, 8, 3, "group=4", false);
}

TEST(ChannelsLast, OtherConvolutionsStay) {
  expect_left_alone(passes::channels_last, "input \"x\" fp32[1, 2, 5]\n" + numbers("w", {2, 2, 3}) +
                                               "node \"c\" = Conv(\"x\", \"w\") -> \"y\"\n"
                                               "output \"y\"\n");
  expect_left_alone(passes::channels_last, "input \"x\" fp32[1, 1, 3, 3, 3]\n" +
                                               numbers("w", {1, 1, 2, 2, 2}) +
                                               "node \"c\" = Conv(\"x\", \"w\") -> \"y\"\n"
                                               "output \"y\"\n");
  expect_left_alone(passes::channels_last,
                    "input \"x\" fp32[1, 2, 5, 5]\ninput \"w\" fp32[2, 2, 3, 3]\n"
                    "node \"c\" = Conv(\"x\", \"w\") -> \"y\"\noutput \"y\"\n");
  expect_left_alone(passes::channels_last,
                    "input \"x\" fp32[n, 4, h, w]\nnode \"r\" = Relu(\"x\") -> \"y\"\n"
                    "output \"y\"\n");
}

TEST(ChannelsLast, ElementsFollow) {
  for (const char* op : {"Relu", "Sigmoid", "Tanh", "Swish", "Gelu", "Neg", "HardSwish"})
    expect_edges_only(between(fmt::format("node \"e\" = {}(\"a\") -> \"b\"\n", op)));
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{4, 1, 1}, Shape{1, 4, 1, 1}, Shape{5},
                             Shape{6, 1}, Shape{4, 6, 5}, Shape{1, 1, 1, 1}}) {
    expect_edges_only(between(numbers("k", shape) + "node \"e\" = Mul(\"k\", \"a\") -> \"b\"\n"));
  }
  expect_edges_only(
      between("constant \"low\" fp32[] = -0.25\n"
              "node \"e\" = Clip(\"a\", \"low\") -> \"b\"\n"));
  expect_edges_only(
      between("constant \"zero\" fp32[] = 0\n"
              "node \"g\" = Greater(\"a\", \"zero\") -> \"m\"\n"
              "node \"e\" = Where(\"m\", \"a\", \"zero\") -> \"b\"\n"));
}

TEST(ChannelsLast, OneNumberAChannelFromElsewhere) {
  const std::string text =
      "input \"t\" fp32[n, 4]\n" + between(
                                       "constant \"axes\" int64[2] = 2 3\n"
                                       "node \"wide\" = Unsqueeze(\"t\", \"axes\") -> \"u\"\n"
                                       "node \"e\" = Add(\"a\", \"u\") -> \"b\"\n");
  expect_edges_only(text);
}

TEST(ChannelsLast, WhatEntersIsTurnedOnce) {
  // The input is scaled on its way to the convolution: channels last already.
  const std::string text =
      "input \"x\" fp32[n, 4, h, w]\nconstant \"k\" fp32[] = 2\n"
      "node \"s\" = Mul(\"x\", \"k\") -> \"a\"\n"
      "node \"t\" = Tanh(\"a\") -> \"b\"\n" +
      convolution("c", "b", "y", 4, 4) + "output \"y\"\n";
  EXPECT_EQ(ops_of(turn(text).text), "Transpose Mul Tanh tenon.Conv Transpose");
}

TEST(ChannelsLast, AxesFollow) {
  const auto node = [](std::string_view constants, std::string_view expression,
                       std::int64_t channels = 4) {
    expect_edges_only(
        between(fmt::format("{}node \"e\" = {} -> \"b\"\n", constants, expression), channels));
  };
  node("", "Softmax(\"a\") axis=1");
  node("", "Softmax(\"a\")");
  node("", "Concat(\"a\", \"a\") axis=1", 8);
  node("", "Concat(\"a\", \"a\") axis=-2");
  node("constant \"p\" int64[8] = 0 0 1 2 0 0 3 0\n", "Pad(\"a\", \"p\")");
  node("constant \"p\" int64[8] = 0 1 0 0 0 1 1 0\n", "Pad(\"a\", \"p\")", 6);
  node("constant \"p\" int64[2] = 1 1\nconstant \"q\" int64[1] = 1\n",
       "Pad(\"a\", \"p\", -, \"q\")", 6);
  node("constant \"s\" fp32[4] = 1 1 2 2\n", "Resize(\"a\", -, \"s\")");
  node("constant \"s\" fp32[4] = 1 1 2 3\n", "Resize(\"a\", -, \"s\") mode=\"linear\"");
  node("constant \"s\" fp32[2] = 2 1\n", "Resize(\"a\", -, \"s\") axes=[2, 3]");
  node("constant \"z\" int64[4] = 3 4 9 9\n", "Resize(\"a\", -, -, \"z\")");
  node("constant \"i\" int64[1] = 1\nconstant \"j\" int64[1] = 3\nconstant \"k\" int64[1] = 1\n",
       "Slice(\"a\", \"i\", \"j\", \"k\")", 2);
  node("constant \"i\" int64[3] = 0 1 1\nconstant \"j\" int64[3] = 9 3 4\n",
       "Slice(\"a\", \"i\", \"j\")", 2);
  node("constant \"m\" int64[2] = 2 -1\n", "ReduceMean(\"a\", \"m\")");
  node("constant \"m\" int64[1] = 1\n", "ReduceMax(\"a\", \"m\")", 1);
  node("", "GlobalAveragePool(\"a\")");
  node("", "GlobalMaxPool(\"a\")");
}

TEST(ChannelsLast, PartsFollow) {
  expect_edges_only(
      between("node \"s\" = Split(\"a\") axis=1 num_outputs=2 -> \"p\", \"q\"\n"
              "node \"e\" = Mul(\"p\", \"q\") -> \"b\"\n",
              2));
}

TEST(ChannelsLast, NormsBecomeAScaleAndAShift) {
  const std::string text = between(numbers("g", {4}) + numbers("o", {4}) +
                                   "node \"e\" = GroupNormalization(\"a\", \"g\", \"o\") "
                                   "num_groups=2 epsilon=0.001f -> \"b\"\n");
  const Rewritten result = turn(text);
  EXPECT_EQ(ops_of(result.text),
            "Transpose tenon.Conv tenon.GroupScale tenon.ScaleShift tenon.Conv Transpose");
  EXPECT_THAT(result.text, HasSubstr("epsilon=0.001f num_groups=2"));
  expect_edges_only(between(numbers("g", {4}) + numbers("o", {4}) +
                            "node \"e\" = InstanceNormalization(\"a\", \"g\", \"o\") -> \"b\"\n"));
  expect_edges_only(between(numbers("g", {4}) + numbers("o", {4}) + numbers("m", {4}) +
                            "constant \"v\" fp32[4] = 1 2 0.5 3\n"
                            "node \"e\" = BatchNormalization(\"a\", \"g\", \"o\", \"m\", \"v\") "
                            "-> \"b\"\n"));
}

// Tokens of a transformer inside: linear layers before and after, or convolutions.
std::string transformer(bool linear) {
  const std::string inner =
      "constant \"to\" int64[3] = 0 -1 4\n"
      "node \"p\" = Transpose(\"g\") perm=[0, 2, 3, 1] -> \"q\"\n"
      "node \"r\" = Reshape(\"q\", \"to\") -> \"t\"\n" +
      numbers("k", {4, 4}) +
      "node \"m\" = MatMul(\"t\", \"k\") -> \"u\"\n"
      "node \"size\" = Shape(\"a\") -> \"sizes\"\n"
      "constant \"places\" int64[4] = 0 2 3 1\n"
      "node \"order\" = Gather(\"sizes\", \"places\") -> \"back\"\n"
      "node \"f\" = Reshape(\"u\", \"back\") -> \"v\"\n"
      "node \"i\" = Transpose(\"v\") perm=[0, 3, 1, 2] -> \"o\"\n";
  if (linear) {
    return between("node \"n\" = Relu(\"a\") -> \"g\"\n" + inner +
                   "node \"add\" = Add(\"o\", \"a\") -> \"b\"\n");
  }
  return between(convolution("in", "a", "g", 4, 4, 1) + inner +
                 convolution("out", "o", "z", 4, 4, 1) +
                 "node \"add\" = Add(\"z\", \"a\") -> \"b\"\n");
}

TEST(ChannelsLast, TokensOfATransformerCostNothing) {
  expect_edges_only(transformer(true));
  expect_edges_only(transformer(false));
}

TEST(ChannelsLast, AttentionOverPixelsCostsNothing) {
  // As the VAE does it: normalised as [n, c, h w], then tokens, then back.
  expect_edges_only(
      between("constant \"flat\" int64[3] = 0 4 -1\n"
              "node \"v\" = Reshape(\"a\", \"flat\") -> \"c\"\n" +
              numbers("g", {4}) + numbers("o", {4}) +
              "node \"norm\" = GroupNormalization(\"c\", \"g\", \"o\") num_groups=2 -> \"d\"\n"
              "node \"t\" = Transpose(\"d\") perm=[0, 2, 1] -> \"e\"\n" +
              numbers("k", {4, 4}) +
              "node \"m\" = MatMul(\"e\", \"k\") -> \"f\"\n"
              "node \"back\" = Transpose(\"f\") perm=[0, 2, 1] -> \"i\"\n"
              "node \"size\" = Shape(\"a\") -> \"sizes\"\n"
              "node \"r\" = Reshape(\"i\", \"sizes\") -> \"j\"\n"
              "node \"add\" = Add(\"j\", \"a\") -> \"b\"\n"));
}

TEST(ChannelsLast, PatchesBecomeTokens) {
  const std::string text =
      "input \"x\" fp32[n, 3, 8, 8]\n" + convolution("c", "x", "a", 3, 4, 4, "strides=[4, 4]") +
      "constant \"flat\" int64[3] = 0 4 -1\nnode \"r\" = Reshape(\"a\", \"flat\") -> \"b\"\n"
      "node \"t\" = Transpose(\"b\") perm=[0, 2, 1] -> \"y\"\noutput \"y\"\n";
  EXPECT_EQ(ops_of(turn(text).text), "Transpose tenon.Conv Reshape");
}

TEST(ChannelsLast, AClassifierEndsWithoutOrder) {
  const std::string head = numbers("k", {4, 2}) + "node \"m\" = MatMul(\"f\", \"k\") -> \"y\"\n";
  const auto ops = [&](const std::string& nodes) {
    return ops_of(turn("input \"x\" fp32[n, 4, h, w]\n" + convolution("c", "x", "a", 4, 4) + nodes +
                       head + "output \"y\"\n")
                      .text);
  };
  EXPECT_EQ(ops("node \"p\" = GlobalAveragePool(\"a\") -> \"b\"\n"
                "node \"r\" = Flatten(\"b\") -> \"f\"\n"),
            "Transpose tenon.Conv ReduceMean Reshape MatMul");
  EXPECT_EQ(ops("constant \"axes\" int64[2] = 2 3\n"
                "node \"p\" = ReduceMean(\"a\", \"axes\") keepdims=0 -> \"f\"\n"),
            "Transpose tenon.Conv ReduceMean MatMul");
}

TEST(ChannelsLast, WhatTakesOneOrderOnlyGetsIt) {
  const Rewritten result =
      turn(between("node \"p\" = MaxPool(\"a\") kernel_shape=[2, 2] strides=[1, 1] -> \"b\"\n"));
  EXPECT_EQ(count_ops(result.text, "Transpose"), 4);
  EXPECT_EQ(count_ops(result.text, "MaxPool"), 1);
  // A reshape that mixes channels and pixels, too.
  const Rewritten mixed = turn(
      between("constant \"s\" int64[4] = 0 2 -1 5\nnode \"r\" = Reshape(\"a\", \"s\") -> \"p\"\n"
              "node \"e\" = Concat(\"p\", \"p\") axis=1 -> \"b\"\n"));
  EXPECT_EQ(count_ops(mixed.text, "tenon.Conv"), 2);
}

TEST(ChannelsLast, OneChannelIsNoOrder) {
  const std::string text = "input \"x\" fp32[n, 1, h, w]\n" + convolution("c", "x", "a", 1, 1) +
                           "node \"r\" = Relu(\"a\") -> \"y\"\noutput \"y\"\n";
  EXPECT_EQ(count_ops(turn(text).text, "Transpose"), 0);
}

TEST(ChannelsLast, OutputsKeepNameAndOrder) {
  const std::string text = "input \"x\" fp32[n, 4, h, w]\n" + convolution("c", "x", "a", 4, 4) +
                           "node \"r\" = Relu(\"a\") -> \"b\"\n" +
                           convolution("d", "b", "y", 4, 4) +
                           "output \"a\"\noutput \"y\"\noutput \"b\"\n";
  const Rewritten result = turn(text);
  EXPECT_EQ(count_ops(result.text, "Transpose"), 4) << result.text;
  EXPECT_EQ(count_ops(result.text, "Identity"), 0) << result.text;
}

TEST(ChannelsLast, TurnedValuesSayWhatTheyWere) {
  const Rewritten result = turn(between("node \"e\" = Relu(\"a\") -> \"b\"\n"));
  EXPECT_THAT(result.text, HasSubstr("\"a@channels_last\" fp32[n, h, w, 4]"));
  EXPECT_THAT(result.text, HasSubstr("\"b@channels_last\" fp32[n, h, w, 4]"));
  EXPECT_THAT(result.text, HasSubstr("-> \"y\" fp32[n, 4, h, w]"));
}

}  // namespace
}  // namespace tenon::planner
