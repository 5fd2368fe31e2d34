// Sizes that windows and resampling give, of known and unknown pictures, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "graph/text.h"

namespace tenon::graph {
namespace {

using testing::HasSubstr;

// The shape of "y" behind one node that reads "x"; inputs and constants stand before it.
std::string shape_of(const std::string& before, const std::string& node) {
  try {
    const Graph graph = from_text(before + "node \"n\" = " + node + " -> \"y\"\noutput \"y\"\n");
    return to_string(graph.value(graph.outputs()[0]).shape);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
}

const std::string kPicture = "input \"x\" fp32[n, 4, h, 15]\n";
const std::string kKernel = kPicture + "constant \"w\" fp32[8, 4, 3, 3]\n";

TEST(Windows, SizesOfConvolutions) {
  EXPECT_EQ(shape_of(kKernel, "Conv(\"x\", \"w\") pads=[1, 1, 1, 1]"), "[n, 8, h, 15]");
  EXPECT_EQ(shape_of(kKernel, "Conv(\"x\", \"w\") pads=[1, 1, 1, 1] strides=[2, 2]"),
            "[n, 8, floor(h + 1 / 2), 8]");
  EXPECT_EQ(shape_of(kKernel, "Conv(\"x\", \"w\") auto_pad=\"SAME_UPPER\" strides=[2, 2]"),
            "[n, 8, floor(h + 1 / 2), 8]");
  EXPECT_EQ(shape_of(kKernel, "Conv(\"x\", \"w\") dilations=[1, 2] pads=[1, 0, 1, 0]"),
            "[n, 8, h, 11]");
  const std::string transposed = kPicture + "constant \"w\" fp32[4, 2, 2, 2]\n";
  EXPECT_EQ(shape_of(transposed, "ConvTranspose(\"x\", \"w\") strides=[2, 2] group=2"),
            "[n, 4, 2*h, 30]");
  EXPECT_EQ(shape_of(transposed, "ConvTranspose(\"x\", \"w\") output_shape=[9, 17]"),
            "[n, 2, 9, 17]");
}

// Halved three times and doubled three times: the same picture when 8 divides its height, which
// the addition asks for.
TEST(Windows, AUNetOfUnknownHeightAsksForWhatDivides) {
  std::string text = "input \"x\" fp32[1, 1, h, 8]\nconstant \"s\" fp32[4] = 1 1 2 2\n";
  std::string last = "x";
  for (const std::string name : {"a", "b", "c"}) {
    text += "node \"p" + name + "\" = MaxPool(\"" + last +
            "\") kernel_shape=[2, 2] strides=[2, 2] -> \"" + name + "\"\n";
    last = name;
  }
  for (const std::string name : {"d", "e", "f"}) {
    text += "node \"r" + name + "\" = Resize(\"" + last + "\", -, \"s\") -> \"" + name + "\"\n";
    last = name;
  }
  const Graph graph = from_text(text + "node \"sum\" = Add(\"x\", \"f\") -> \"y\"\noutput \"y\"\n");
  EXPECT_EQ(to_string(graph.value(graph.outputs()[0]).shape), "[1, 1, h, 8]");
  bool found = false;
  for (const Constraint& constraint : graph.constraints) {
    if (constraint.where != "sum") continue;
    found = true;
    EXPECT_EQ(constraint.a.evaluate({{"h", 16}}), constraint.b.evaluate({{"h", 16}}));
    EXPECT_NE(constraint.a.evaluate({{"h", 12}}), constraint.b.evaluate({{"h", 12}}));
  }
  EXPECT_TRUE(found);
}

TEST(Windows, SizesOfPools) {
  EXPECT_EQ(shape_of(kPicture,
                     "MaxPool(\"x\") kernel_shape=[3, 3] strides=[2, 2] ceil_mode=1 "
                     "pads=[0, 1, 0, 0]"),
            "[n, 4, floor(h / 2), 8]");
  EXPECT_EQ(shape_of("input \"x\" fp32[1, 1, 2, 2]\n",
                     "AveragePool(\"x\") kernel_shape=[1, 1] strides=[2, 2] ceil_mode=1"),
            "[1, 1, 1, 1]");
  EXPECT_EQ(shape_of(kPicture, "GlobalAveragePool(\"x\")"), "[n, 4, 1, 1]");
}

TEST(Windows, SizesOfResampledPictures) {
  const auto scaled = [](const char* scales) {
    return shape_of(kPicture + "constant \"s\" fp32[4] = " + scales + "\n",
                    "Resize(\"x\", -, \"s\")");
  };
  EXPECT_EQ(scaled("1 1 2 2"), "[n, 4, 2*h, 30]");
  EXPECT_EQ(scaled("1 1 0.5 0.5"), "[n, 4, floor(h / 2), 7]");
  EXPECT_EQ(scaled("1 1 1.5 0.6"), "[n, 4, floor(3*h / 2), 9]");
  EXPECT_THAT(scaled("1 1 -1 2"), HasSubstr("scale -1"));
  EXPECT_THAT(scaled("1 1 3.14159 2"), HasSubstr("is no fraction"));
  EXPECT_EQ(shape_of(kPicture + "constant \"s\" int64[2] = 7 9\n",
                     "Resize(\"x\", -, -, \"s\") axes=[2, 3]"),
            "[n, 4, 7, 9]");
  EXPECT_EQ(shape_of(kPicture, "DepthToSpace(\"x\") blocksize=2"), "[n, 1, 2*h, 30]");
  EXPECT_EQ(shape_of(kPicture + "input \"g\" fp32[n, 5, 6, 2]\n", "GridSample(\"x\", \"g\")"),
            "[n, 4, 5, 6]");
}

TEST(Windows, RefusesWithAReason) {
  EXPECT_THAT(shape_of(kKernel, "Conv(\"x\", \"w\") strides=[0, 1]"), HasSubstr("strides holds 0"));
  EXPECT_THAT(shape_of(kKernel, "Conv(\"x\", \"w\") pads=[1, 1]"),
              HasSubstr("pads has 2 numbers, expected 4"));
  EXPECT_THAT(shape_of(kKernel, "Conv(\"x\", \"w\") group=2"), HasSubstr("sizes 4 and 8 differ"));
  EXPECT_THAT(shape_of(kKernel, "Conv(\"x\", \"w\") kernel_shape=[3, 5]"),
              HasSubstr("sizes 5 and 3 differ"));
  EXPECT_THAT(shape_of(kKernel, "Conv(\"x\", \"w\") dilations=[1, 9]"), HasSubstr("does not fit"));
  EXPECT_THAT(shape_of(kKernel, "Conv(\"x\", \"w\") auto_pad=\"SAME\""), HasSubstr("SAME_UPPER"));
  EXPECT_THAT(shape_of("input \"x\" fp32[2, 4]\n", "MaxPool(\"x\") kernel_shape=[1]"),
              HasSubstr("expected rank 3 or more"));
  EXPECT_THAT(shape_of(kPicture, "MaxPool(\"x\")"), HasSubstr("kernel_shape is missing"));
  EXPECT_THAT(shape_of(kPicture, "SpaceToDepth(\"x\") blocksize=2"),
              HasSubstr("sizes 14 and 15 differ"));
  EXPECT_THAT(shape_of(kPicture, "Einsum(\"x\") equation=\"ij->i\""), HasSubstr("has rank 4"));
  EXPECT_THAT(shape_of(kPicture, "Einsum(\"x\") equation=\"...i->iij\""),
              HasSubstr("names an index twice"));
}

}  // namespace
}  // namespace tenon::graph
