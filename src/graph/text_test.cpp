// The text form: what is written comes back the same, and what is malformed is named by its line.
#include "graph/text.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/half.h"
#include "graph/op_schema.h"

namespace tenon::graph {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Graph expect_same_after_reading(const Graph& graph) {
  const std::string text = to_text(graph);
  Graph read = from_text(text);
  verify(read);
  EXPECT_EQ(to_text(read), text);
  return read;
}

TEST(GraphText, WritesOneLineAValueOrNode) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::f32, {Dim::symbol("batch"), Dim(2)});
  const ValueId w = graph.add_constant("w", Tensor::from_floats({2}, std::vector{0.1F, -2.0F}));
  const ValueId sum = graph.add("Add", "sum", {x, w}, {}, "model.layers.0");
  graph.mark_output(graph.add("Softmax", "soft", {sum}, {{"axis", std::int64_t{-1}}}), "y");
  EXPECT_EQ(
      to_text(graph),
      "input \"x\" fp32[batch, 2]\n"
      "constant \"w\" fp32[2] = 0.1 -2\n"
      "node \"sum\" in \"model.layers.0\" = Add(\"x\", \"w\") -> \"sum_output\" fp32[batch, 2]\n"
      "node \"soft\" = Softmax(\"sum_output\") axis=-1 -> \"y\" fp32[batch, 2]\n"
      "output \"y\"\n");
  const Graph read = expect_same_after_reading(graph);
  EXPECT_EQ(read.node(read.order()[0]).module, "model.layers.0");
}

TEST(GraphText, KeepsEveryKindOfAttribute) {
  // The schema knows a few kinds only, so attributes are put on the node after it was inferred.
  Graph graph;
  const ValueId x = graph.add_input("x", DType::f32, {Dim(2), Dim(3)});
  const ValueId y = graph.add("Transpose", "t", {x}, {{"perm", std::vector<std::int64_t>{1, 0}}});
  const ValueId z = graph.add("Gelu", "g", {y}, {{"approximate", std::string("tanh")}});
  const ValueId n = graph.add("RMSNormalization", "n",
                              {z, graph.add_constant("w", Tensor::from_floats({2}, {{1, 1}}))},
                              {{"axis", std::int64_t{-1}}, {"epsilon", 1e-6F}});
  graph.mark_output(n, "out");
  const Graph read = expect_same_after_reading(graph);
  for (const NodeId id : graph.order())
    EXPECT_EQ(read.node(id).attributes, graph.node(id).attributes) << graph.node(id).name;
}

TEST(GraphText, KeepsFloatAttributesToTheBit) {
  for (const float epsilon : {1e-5F, 0.1F, 1.17549435e-38F, 1.4e-45F, 3.4028235e38F, -0.0F,
                              std::numeric_limits<float>::infinity(), 1.0F / 3}) {
    Graph graph;
    const ValueId x = graph.add_input("x", DType::f32, {Dim(2)});
    graph.mark_output(graph.add("LeakyRelu", "n", {x}, {{"alpha", epsilon}}), "y");
    const Graph read = expect_same_after_reading(graph);
    const float back = read.node(read.order()[0]).attributes.get_float("alpha", 5);
    EXPECT_EQ(back, epsilon);
    EXPECT_EQ(std::signbit(back), std::signbit(epsilon));
  }
}

TEST(GraphText, KeepsNamesThatNeedQuoting) {
  Graph graph;
  const std::string odd = "/model/layers.0/a \"quoted\" \\ name, = (x) -> [1]\nsecond line";
  const ValueId x = graph.add_input(odd, DType::f32, {});
  const ValueId y = graph.add("Neg", "node " + odd, {x}, {}, "module " + odd);
  graph.mark_output(y, "\\n is not a line end");
  const Graph read = expect_same_after_reading(graph);
  EXPECT_TRUE(read.find_value(odd));
  EXPECT_EQ(read.node(read.order()[0]).name, "node " + odd);
  EXPECT_EQ(read.node(read.order()[0]).module, "module " + odd);
  EXPECT_EQ(read.value(read.outputs()[0]).name, "\\n is not a line end");
}

TEST(GraphText, KeepsAbsentInputsAndOutputs) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::f32, {Dim(4)});
  const ValueId most = graph.add_constant("most", Tensor::from_floats({}, {{1}}));
  const ValueId clipped = graph.add("Clip", "clip", {x, kNoValue, most});
  const ValueId w = graph.add_constant("w", Tensor::from_floats({4}, std::vector<float>(4, 1)));
  Node norm;
  norm.name = "norm";
  norm.op = &find_op("LayerNormalization");
  norm.inputs = {clipped, w, kNoValue};
  const std::vector<std::string> names = {"", "", "deviation"};
  const NodeId id = graph.add_node(std::move(norm), names);
  graph.mark_output(graph.node(id).outputs[2], "deviation");
  EXPECT_THAT(to_text(graph), HasSubstr("= Clip(\"x\", -, \"most\") ->"));
  // The first output is one that the op must have.
  EXPECT_THAT(to_text(graph), HasSubstr("-> \"norm_output_0\" fp32[4], -, \"deviation\" fp32[1]"));
  const Graph read = expect_same_after_reading(graph);
  EXPECT_EQ(read.node(read.order()[0]).inputs[1], kNoValue);
  EXPECT_NE(read.node(read.order()[1]).outputs[0], kNoValue);
  EXPECT_EQ(read.node(read.order()[1]).outputs[1], kNoValue);
}

TEST(GraphText, KeepsSymbolicShapes) {
  Graph graph;
  const Dim past = Dim::symbol("past_sequence_length");
  const Dim fresh = Dim::symbol("s.1");
  const ValueId a =
      graph.add_input("a", DType::f16,
                      {past + fresh, Dim::max(past, fresh), Dim::floor_div(past, Dim(3)) * Dim(2)});
  graph.add_input("scalar", DType::boolean, {});
  graph.add_input("empty", DType::i32, {Dim(0), Dim(3)});
  graph.mark_output(graph.add("Neg", "n", {a}), "y");
  const Graph read = expect_same_after_reading(graph);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(read.value(read.inputs()[i]).shape, graph.value(graph.inputs()[i]).shape);
    EXPECT_EQ(read.value(read.inputs()[i]).dtype, graph.value(graph.inputs()[i]).dtype);
  }
}

// Writes a graph whose output is the constant and gives back the constant that is read.
Tensor through_text(const Tensor& constant) {
  Graph graph;
  graph.mark_output(graph.add_constant("c", constant), "c");
  const Graph read = expect_same_after_reading(graph);
  return read.value(read.outputs()[0]).constant->load();
}

TEST(GraphText, KeepsIntegerExtremes) {
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const Tensor wide = through_text(Tensor::from_ints({4}, {{kLeast, kMost, kMost - 1, -1}}));
  EXPECT_THAT(wide.as<std::int64_t>(), ElementsAre(kLeast, kMost, kMost - 1, -1));

  Tensor bits(DType::i8, {2});
  bits.as<std::int8_t>()[0] = -128;
  bits.as<std::int8_t>()[1] = 127;
  EXPECT_THAT(through_text(bits).as<std::int8_t>(), ElementsAre(-128, 127));
  Tensor flags(DType::boolean, {1, 2});
  flags.data()[0] = std::byte{1};
  flags.data()[1] = std::byte{0};
  const Tensor back = through_text(flags);
  EXPECT_EQ(back.dtype(), DType::boolean);
  EXPECT_EQ(back.shape(), (Shape{1, 2}));
  EXPECT_EQ(back.data()[0], std::byte{1});
  EXPECT_EQ(back.data()[1], std::byte{0});
}

TEST(GraphText, KeepsFloatsToTheBit) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> singles = {0.1F,     -0.0F,         kInfinity,   -kInfinity,
                                      1.4e-45F, 3.4028235e38F, 16777216.0F, 1.0F / 3};
  const Tensor back = through_text(Tensor::from_floats({8}, singles));
  for (std::size_t i = 0; i < singles.size(); ++i) {
    EXPECT_EQ(back.as<float>()[i], singles[i]);
    EXPECT_EQ(std::signbit(back.as<float>()[i]), std::signbit(singles[i]));
  }
  const Tensor nan =
      through_text(Tensor::from_floats({1}, {{std::numeric_limits<float>::quiet_NaN()}}));
  EXPECT_TRUE(std::isnan(nan.as<float>()[0]));

  Tensor doubles(DType::f64, {3});
  const double wanted[] = {0.1, 5e-324, 1.0 / 3};
  std::copy(std::begin(wanted), std::end(wanted), doubles.as<double>().begin());
  EXPECT_THAT(through_text(doubles).as<double>(), ElementsAre(0.1, 5e-324, 1.0 / 3));
}

TEST(GraphText, KeepsEveryHalfOfEitherKind) {
  for (const DType type : {DType::f16, DType::bf16}) {
    for (std::uint32_t first = 0; first < 0x10000; first += 64) {
      Tensor halves(type, {64});
      for (std::uint32_t i = 0; i < 64; ++i)
        halves.as<std::uint16_t>()[i] = static_cast<std::uint16_t>(first + i);
      const Tensor values = converted(halves.view(), DType::f32);
      const Tensor back = through_text(halves);
      for (std::size_t i = 0; i < 64; ++i) {
        if (std::isnan(values.as<float>()[i])) continue;
        ASSERT_EQ(back.as<std::uint16_t>()[i], halves.as<std::uint16_t>()[i]);
      }
    }
  }
}

TEST(GraphText, KeepsEmptyAndLargeConstants) {
  EXPECT_EQ(through_text(Tensor(DType::f32, {0, 5})).shape(), (Shape{0, 5}));
  EXPECT_EQ(through_text(Tensor::from_ints({}, {{7}})).as<std::int64_t>()[0], 7);
  const Tensor large = through_text(Tensor::from_floats({65}, std::vector<float>(65, 3)));
  EXPECT_EQ(large.shape(), (Shape{65}));
  EXPECT_EQ(large.as<float>()[64], 0);
}

TEST(GraphText, AConstantThatIsLeftOutTakesNoMemory) {
  const Graph graph = from_text(
      "constant \"w\" fp32[1000000, 100000]\n"
      "output \"w\"\n");
  const SourcePtr& source = graph.value(graph.outputs()[0]).constant;
  EXPECT_EQ(source->shape(), (Shape{1000000, 100000}));
  std::vector<float> row(100000, 1);
  source->read(999999, 1000000, reinterpret_cast<std::byte*>(row.data()));
  EXPECT_THAT(row, testing::Each(0.0F));
}

TEST(GraphText, SkipsEmptyLinesAndComments) {
  const Graph graph = from_text("\n# a comment\n  input \"x\" fp32[]\n\noutput \"x\"");
  EXPECT_EQ(graph.inputs(), graph.outputs());
}

struct Malformed {
  const char* line;
  const char* complaint;
};

class MalformedLines : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedLines, AreNamed) {
  const std::string text =
      "input \"x\" fp32[n, 3]\nconstant \"c\" fp32[1] = 1\n" + std::string(GetParam().line) + "\n";
  try {
    from_text(text);
    ADD_FAILURE() << "no error for " << GetParam().line;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    EXPECT_THAT(error.what(), HasSubstr("line 3: "));
    EXPECT_THAT(error.what(), HasSubstr(GetParam().complaint));
  }
}

const Malformed kMalformed[] = {
    {"value \"y\" fp32[1]", "'value' is not input, constant, node or output"},
    {"\"x\"", "'' is not input, constant, node or output"},
    {"input x fp32[1]", "'\"' was expected"},
    {"input \"y", "a string does not end"},
    {"input \"y\\", "a string does not end"},
    {"input \"y\" fp31[1]", "fp31"},
    {"input \"y\" fp32", "'[' was expected"},
    {"input \"y\" fp32[1", "']' was expected"},
    {"input \"y\" fp32[1, ?]", "is not a size"},
    {"input \"y\" fp32[-1]", "-1"},
    {"input \"y\" fp32[1099511627776, 1099511627776]", "more elements than memory can hold"},
    {"input \"y\" fp32[1] fp32[2]", "left at 'f'"},
    {"input \"x\" fp32[1]", "value \"x\" is defined already"},
    {"constant \"d\" fp32[n]", "a constant's shape must be numbers"},
    {"constant \"d\" fp32[2] = 1", "1 numbers, the shape [2] needs 2"},
    {"constant \"d\" fp32[2] = 1 2 3", "3 numbers, the shape [2] needs 2"},
    {"constant \"d\" fp32[2] = 1 two", "'two' is not a number"},
    {"constant \"d\" fp32[1] = 1.0.0", "'1.0.0' is not a number"},
    {"constant \"d\" fp32[1] = (", "'(' is not a number"},
    {"constant \"d\" fp32[100000000000] = 1", "1 numbers"},
    {"constant \"d\" int64[1] = 1.5", "'1.5' is not an integer"},
    {"constant \"d\" int64[1] = 9223372036854775808", "is not an integer"},
    {"constant \"d\" int8[1] = 128", "128 does not fit into int8"},
    {"constant \"d\" bool[1] = 2", "2 does not fit into bool"},
    {"node \"n\" = Frobnicate(\"x\") -> \"y\"", "operator Frobnicate is not supported"},
    {"node \"n\" = Neg(\"z\") -> \"y\"", "value \"z\" is not defined"},
    {"node \"n\" = Neg(\"x\"", "'\"' was expected"},
    {"node \"n\" = Neg \"x\" -> \"y\"", "'(' was expected"},
    {"node \"n\" = Neg(\"x\")", "'->' was expected"},
    {"node \"n\" = Neg(\"x\") \"y\"", "'=' was expected"},
    {"node \"n\" if \"m\" = Neg(\"x\") -> \"y\"", "'in' or '=' was expected"},
    {"node \"n\" = Neg(\"x\") -> \"x\"", "value \"x\" is defined already"},
    {"node \"n\" = TopK(\"x\", \"c\") -> \"y\", \"y\"", "value \"y\" is written twice"},
    {"node \"n\" = Neg(\"x\") depth=1 -> \"y\"", "attribute \"depth\" is not known"},
    {"node \"n\" = Softmax(\"x\") axis= -> \"y\"", "'->' is not an integer"},
    {"node \"n\" = Softmax(\"x\") axis=1.5 -> \"y\"", "'1.5' is not an integer"},
    {"node \"n\" = Softmax(\"x\") axis=xf -> \"y\"", "'x' is not a number"},
    {"node \"n\" = Softmax(\"x\") axis=\"1\" -> \"y\"", "holds a string"},
    {"node \"n\" = Transpose(\"x\") perm=[1, 0 -> \"y\"", "is not an integer"},
    {"node \"n\" = Transpose(\"x\") perm=[1, 0.5f] -> \"y\"", "a list holds different types"},
    {"node \"n\" = Add(\"x\") -> \"y\"", "1 inputs, expected 2 to 2"},
    {"node \"n\" = Softmax(\"x\") axis=7 -> \"y\"", "7"},
    {"output \"z\"", "value \"z\" is not defined"},
    {"output \"x\" \"c\"", "left at '\"'"},
};

INSTANTIATE_TEST_SUITE_P(GraphText, MalformedLines, testing::ValuesIn(kMalformed));

TEST(GraphText, DeepSizesAreRefused) {
  const std::string deep(200000, '(');
  EXPECT_THROW(from_text("input \"x\" fp32[" + deep + "]"), Error);
  EXPECT_THROW(from_text("input \"x\" fp32[" + deep), Error);
}

// Every prefix of a good text and every text with one letter changed reads or is an Error.
TEST(GraphText, DamagedTextNeverCrashes) {
  const std::string text =
      "input \"x\" fp32[batch, 2*past + 3]\n"
      "constant \"w\" int64[2] = -3 9\n"
      "node \"n\" in \"m\" = Transpose(\"x\") perm=[1, 0] -> \"y\" fp32[2*past + 3, batch]\n"
      "node \"c\" = Clip(\"y\", -, -) -> \"z\"\n"
      "output \"z\"\n";
  from_text(text);
  const auto read = [](const std::string& damaged) {
    try {
      from_text(damaged);
    } catch (const Error&) {
    }
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    read(text.substr(0, at));
    for (const char c : {'\0', ' ', '"', '[', ']', '(', ')', ',', '-', '=', '9', 'f', '\n', '\\'}) {
      std::string damaged = text;
      damaged[at] = c;
      read(damaged);
    }
  }
}

}  // namespace
}  // namespace tenon::graph
