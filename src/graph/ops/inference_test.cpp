// Every operator's inference on small cases, written as text: `fp32 [b, 4]` is an input,
// `int64 = 1, n` one whose content is known, `-` an absent one.
#include <cstdlib>
#include <set>

#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "graph/op_schema.h"

namespace tenon::graph {
namespace {

using testing::HasSubstr;
using Ints = std::vector<std::int64_t>;

struct Case {
  std::string op;
  std::vector<std::string> inputs;
  Attributes attributes;
  /// `fp32 [b, 4]` for each output; with ` = 1, n` behind it where the content must be known.
  std::vector<std::string> outputs;
};

DimShape parse_dims(std::string_view text) {
  DimShape dims;
  while (text.find_first_not_of(' ') != std::string_view::npos) {
    int depth = 0;
    std::size_t end = 0;
    for (; end < text.size() && (text[end] != ',' || depth > 0); ++end) {
      if (text[end] == '(') ++depth;
      if (text[end] == ')') --depth;
    }
    const std::string word(text.substr(0, end));
    char* stop = nullptr;
    const long long number = std::strtoll(word.c_str(), &stop, 10);
    dims.push_back(*stop == '\0' && stop != word.c_str() ? Dim(number) : Dim::parse(word).value());
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return dims;
}

// A graph input of the dims' elements is not possible; Shape of a tensor of those sizes is.
ValueId add_content(Graph& graph, DType type, const DimShape& elements, bool scalar) {
  std::vector<ValueId> parts;
  for (const Dim& element : elements) {
    if (const auto number = element.constant()) {
      parts.push_back(graph.add_constant("number", Tensor::from_ints({1}, {{*number}})));
    } else {
      const ValueId sized = graph.add_input("sized", DType::f32, {element});
      parts.push_back(graph.add("Shape", "shape", {sized}));
    }
  }
  if (parts.empty()) return graph.add_constant("none", Tensor(type, {0}));
  ValueId joined = graph.add("Concat", "joined", parts, {{"axis", std::int64_t{0}}});
  if (scalar) joined = graph.add("Squeeze", "scalar", {joined});
  return graph.add("Cast", "cast", {joined}, {{"to", dtype_to_onnx(type)}});
}

ValueId add_operand(Graph& graph, const std::string& text) {
  if (text == "-") return kNoValue;
  const auto space = text.find(' ');
  const DType type = parse_dtype(text.substr(0, space));
  if (const auto open = text.find('['); open != std::string::npos) {
    return graph.add_input("x", type, parse_dims(text.substr(open + 1, text.size() - open - 2)));
  }
  const bool scalar = text.find("scalar") != std::string::npos;
  return add_content(graph, type, parse_dims(text.substr(text.find('=') + 1)), scalar);
}

NodeId add_case(Graph& graph, const Case& test, std::size_t outputs) {
  Node node;
  node.name = "subject";
  node.op = &find_op(test.op);
  for (const std::string& input : test.inputs) node.inputs.push_back(add_operand(graph, input));
  node.attributes = test.attributes;
  node.outputs.assign(outputs, kNoValue);
  return graph.add_node(std::move(node));
}

std::string describe(const Value& value, bool with_content) {
  std::string text = fmt::format("{} {}", dtype_name(value.dtype), to_string(value.shape));
  if (!with_content) return text;
  if (!value.content) return text + " = ?";
  const std::string elements = to_string(*value.content);
  return text + " = " + elements.substr(1, elements.size() - 2);
}

void check(const Case& test) {
  SCOPED_TRACE(test.op + "(" + fmt::format("{}", fmt::join(test.inputs, "; ")) + ")");
  Graph graph;
  try {
    const NodeId id = add_case(graph, test, test.outputs.size());
    for (std::size_t i = 0; i < test.outputs.size(); ++i) {
      const Value& value = graph.value(graph.node(id).outputs[i]);
      const bool with_content = test.outputs[i].find('=') != std::string::npos;
      EXPECT_EQ(describe(value, with_content), test.outputs[i]);
    }
  } catch (const Error& error) {
    ADD_FAILURE() << error.what();
  }
}

std::int64_t num(std::int64_t value) { return value; }

const Case kCases[] = {
    {"Relu", {"fp32 [b, 3]"}, {}, {"fp32 [b, 3]"}},
    {"Abs", {"int64 = 3, n"}, {}, {"int64 [2] = 3, n"}},
    {"Neg", {"int64 = 3, n"}, {}, {"int64 [2] = -3, -n"}},
    {"Not", {"bool = 1, 0"}, {}, {"bool [2] = 0, 1"}},
    {"IsNaN", {"fp16 [b]"}, {}, {"bool [b]"}},
    {"Identity", {"int64 = n"}, {}, {"int64 [1] = n"}},
    {"Cast", {"int64 = 4, n"}, {{"to", num(6)}}, {"int32 [2] = 4, n"}},
    {"Cast", {"int64 = 4, 0, n + 1"}, {{"to", num(9)}}, {"bool [3] = 1, 0, 1"}},
    {"Cast", {"fp32 [b]"}, {{"to", num(16)}}, {"bf16 [b]"}},
    {"CastLike", {"int64 [b]", "fp16 []"}, {}, {"fp16 [b]"}},
    {"Clip",
     {"int64 = 9, n", "int64 scalar = 1", "int64 scalar = 5"},
     {},
     {"int64 [2] = 5, min(5, max(1, n))"}},
    {"Clip", {"fp32 [b]", "-", "fp32 []"}, {}, {"fp32 [b]"}},
    {"Softmax", {"fp32 [b, 5]"}, {{"axis", num(-2)}}, {"fp32 [b, 5]"}},
    {"Gelu", {"fp32 [b]"}, {{"approximate", std::string("tanh")}}, {"fp32 [b]"}},

    {"Add", {"fp32 [b, 1, 4]", "fp32 [s, 1]"}, {}, {"fp32 [b, s, 4]"}},
    {"Add", {"int64 = n, 2", "int64 scalar = m"}, {}, {"int64 [2] = m + n, m + 2"}},
    {"Sub", {"int64 scalar = n", "int64 = 1"}, {}, {"int64 [1] = n - 1"}},
    {"Mul", {"int64 = n", "int64 = 4"}, {}, {"int64 [1] = 4*n"}},
    {"Div",
     {"int64 = 8*n, 7, -7, n", "int64 scalar = 2"},
     {},
     {"int64 [4] = 4*n, 3, -3, floor(n / 2)"}},
    {"Div", {"int64 = 5", "int64 = 0"}, {}, {"int64 [1] = ?"}},
    {"Add", {"int64 = 9223372036854775807", "int64 = 1"}, {}, {"int64 [1] = ?"}},
    {"Mod", {"int64 = 7, -7, 4*n + 1", "int64 scalar = 4"}, {}, {"int64 [3] = 3, 1, 1"}},
    {"Pow", {"fp32 [b]", "int64 []"}, {}, {"fp32 [b]"}},
    {"Max", {"int64 = n, 1", "int64 = 0, 2", "int64 = 0, 0"}, {}, {"int64 [2] = n, 2"}},
    {"Min", {"fp32 [3, 1]", "fp32 [b]"}, {}, {"fp32 [3, b]"}},
    {"Equal", {"int64 = n, -1, 2", "int64 = -1"}, {}, {"bool [3] = 0, 1, 0"}},
    {"Less", {"int64 = n, 3", "int64 = n + 1, 3"}, {}, {"bool [2] = 1, 0"}},
    {"GreaterOrEqual", {"int64 = n", "int64 = 0"}, {}, {"bool [1] = 1"}},
    {"And", {"bool [b, 1]", "bool [3]"}, {}, {"bool [b, 3]"}},
    {"Where", {"bool = 1, 0", "int64 = n, n", "int64 = 5, 6"}, {}, {"int64 [2] = n, 6"}},
    {"Where", {"bool [b, 1]", "fp32 []", "fp32 [7]"}, {}, {"fp32 [b, 7]"}},
    {"PRelu", {"fp32 [b, 3, 4]", "fp32 [3, 1]"}, {}, {"fp32 [b, 3, 4]"}},

    {"MatMul", {"fp32 [b, 1, s, 8]", "fp32 [h, 8, 3]"}, {}, {"fp32 [b, h, s, 3]"}},
    {"MatMul", {"fp32 [8]", "fp32 [8, 3]"}, {}, {"fp32 [3]"}},
    {"MatMul", {"fp32 [b, 2, 8]", "fp32 [8]"}, {}, {"fp32 [b, 2]"}},
    {"MatMul", {"fp32 [8]", "fp32 [8]"}, {}, {"fp32 []"}},
    {"Gemm",
     {"fp32 [8, b]", "fp32 [3, 8]", "fp32 [3]"},
     {{"transA", num(1)}, {"transB", num(1)}},
     {"fp32 [b, 3]"}},
    {"tenon.Linear",
     {"fp32 [b, s, 8]", "bf16 [8, 3]", "fp32 [3]", "fp32 [b, s, 3]"},
     {{"activation", std::string("silu")}},
     {"fp32 [b, s, 3]"}},
    {"tenon.SwiGlu", {"fp32 [s, 2*i]"}, {}, {"fp32 [s, i]"}},
    {"tenon.GeGlu", {"fp32 [b, s, 2*i]"}, {}, {"fp32 [b, s, i]"}},
    {"tenon.Attention",
     {"fp32 [b, s, 24]", "fp32 [b, t, 16]", "fp32 [b, t, 16]", "fp32 [s, t]"},
     {{"q_heads", num(4)},
      {"kv_heads", num(2)},
      {"head_dim", num(4)},
      {"q_offset", num(8)},
      {"v_offset", num(8)}},
     {"fp32 [b, s, 16]"}},

    {"tenon.Conv",
     {"fp32 [b, h, w, 4]", "bf16 [54, 8]", "fp32 [8]", "fp32 [b, h, w, 8]", "fp32 [b, 8]",
      "fp32 [b, 2, 6]", "fp32 [b, h, w, 2]"},
     {{"kernel_shape", Ints{3, 3}},
      {"pads", Ints{1, 1, 1, 1}},
      {"activation", std::string("silu")},
      {"input_activation", std::string("silu")}},
     {"fp32 [b, h, w, 8]"}},
    {"tenon.Conv",
     {"fp32 [b, h, w, 4]", "fp32 [36, 8]"},
     {{"kernel_shape", Ints{3, 3}},
      {"pads", Ints{1, 1, 1, 1}},
      {"upsample", num(2)},
      {"strides", Ints{1, 1}}},
     {"fp32 [b, 2*h, 2*w, 8]"}},
    {"tenon.Conv",
     {"fp32 [b, 9, 8, 4]", "fp32 [9, 4]"},
     {{"kernel_shape", Ints{3, 3}},
      {"pads", Ints{0, 0, 1, 1}},
      {"group", num(4)},
      {"dilations", Ints{1, 2}},
      {"strides", Ints{2, 2}}},
     {"fp32 [b, 4, 3, 4]"}},
    {"tenon.GroupScale",
     {"fp32 [b, h, w, 6]", "fp32 [8]", "fp32 [8]", "fp32 [b, h, w, 2]"},
     {{"num_groups", num(4)}},
     {"fp32 [b, 2, 8]"}},
    {"tenon.ScaleShift",
     {"fp32 [b, s, 6]", "fp32 [b, 2, 6]"},
     {{"activation", std::string("silu")}},
     {"fp32 [b, s, 6]"}},

    {"LayerNormalization",
     {"fp16 [b, s, 8]", "fp16 [8]", "fp16 [8]"},
     {},
     {"fp16 [b, s, 8]", "fp32 [b, s, 1]", "fp32 [b, s, 1]"}},
    {"RMSNormalization", {"fp32 [b, 8]", "fp32 [8]"}, {{"epsilon", 1e-6F}}, {"fp32 [b, 8]"}},
    {"GroupNormalization",
     {"fp32 [b, 8, h, w]", "fp32 [8]", "fp32 [8]"},
     {{"num_groups", num(4)}},
     {"fp32 [b, 8, h, w]"}},
    {"InstanceNormalization", {"fp32 [b, 8, h]", "fp32 [8]", "fp32 [8]"}, {}, {"fp32 [b, 8, h]"}},
    {"BatchNormalization",
     {"fp32 [b, 8]", "fp32 [8]", "fp32 [8]", "fp32 [8]", "fp32 [8]"},
     {},
     {"fp32 [b, 8]"}},

    {"ReduceMean", {"fp32 [b, s, 8]", "int64 = -1"}, {}, {"fp32 [b, s, 1]"}},
    {"ReduceSum", {"fp32 [b, s, 8]", "int64 = 0, 2"}, {{"keepdims", num(0)}}, {"fp32 [s]"}},
    {"ReduceSum", {"fp32 [b, s]"}, {{"keepdims", num(0)}}, {"fp32 []"}},
    {"ReduceSum", {"fp32 [b, s]"}, {{"noop_with_empty_axes", num(1)}}, {"fp32 [b, s]"}},
    {"ReduceProd", {"int64 = n, 3, m"}, {{"keepdims", num(0)}}, {"int64 [] = 3*m*n"}},
    {"ReduceMax", {"int64 = 3, n + 4, n"}, {{"keepdims", num(0)}}, {"int64 [] = n + 4"}},
    {"ReduceMax", {"bool [b, 3]", "int64 = 1"}, {}, {"bool [b, 1]"}},
    {"ArgMax", {"fp32 [b, 5]"}, {{"axis", num(-1)}, {"keepdims", num(0)}}, {"int64 [b]"}},
    {"CumSum", {"int64 [b, s]", "int64 scalar = 1"}, {}, {"int64 [b, s]"}},
    {"TopK", {"fp32 [b, 5]", "int64 = 2"}, {}, {"fp32 [b, 2]", "int64 [b, 2]"}},

    {"Shape", {"fp32 [b, s, 8]"}, {}, {"int64 [3] = b, s, 8"}},
    {"Shape", {"fp32 [b, s, 8]"}, {{"start", num(-2)}, {"end", num(2)}}, {"int64 [1] = s"}},
    {"Shape", {"fp32 [b, s]"}, {{"start", num(5)}}, {"int64 [0] = "}},
    {"Size", {"fp32 [b, s, 8]"}, {}, {"int64 [] = 8*b*s"}},
    {"Reshape", {"fp32 [b, s, 64]", "int64 = b, s, -1, 16"}, {}, {"fp32 [b, s, 4, 16]"}},
    {"Reshape", {"fp32 [b, s, 64]", "int64 = 0, 0, 8, 8"}, {}, {"fp32 [b, s, 8, 8]"}},
    {"Reshape", {"fp32 [b, p + s, 64]", "int64 = b, -1, 64"}, {}, {"fp32 [b, p + s, 64]"}},
    {"Reshape", {"fp32 [b, p + s, 64]", "int64 = p + s, -1"}, {}, {"fp32 [p + s, 64*b]"}},
    {"Reshape", {"fp32 [0, 3]", "int64 = 3, 0"}, {{"allowzero", num(1)}}, {"fp32 [3, 0]"}},
    {"Reshape", {"int64 scalar = n", "int64 = 1"}, {}, {"int64 [1] = n"}},
    {"Reshape", {"fp32 [1]", "int64 = "}, {}, {"fp32 []"}},
    {"Flatten", {"fp32 [b, 2, 3]"}, {{"axis", num(-1)}}, {"fp32 [2*b, 3]"}},
    {"Flatten", {"fp32 [2, 3]"}, {{"axis", num(0)}}, {"fp32 [1, 6]"}},
    {"Transpose", {"fp32 [b, s, 8]"}, {{"perm", Ints{0, 2, 1}}}, {"fp32 [b, 8, s]"}},
    {"Transpose", {"fp32 [b, s, 8]"}, {}, {"fp32 [8, s, b]"}},
    {"Squeeze", {"fp32 [b, 1, 8]", "int64 = -2"}, {}, {"fp32 [b, 8]"}},
    {"Squeeze", {"int64 = n"}, {}, {"int64 [] = n"}},
    {"Unsqueeze", {"fp32 [b, s]", "int64 = 0, -1"}, {}, {"fp32 [1, b, s, 1]"}},
    {"Unsqueeze", {"int64 scalar = n", "int64 = 0"}, {}, {"int64 [1] = n"}},
    {"Expand", {"fp32 [1, 3]", "int64 = b, 1, 1"}, {}, {"fp32 [b, 1, 3]"}},
    {"Expand", {"int64 scalar = n", "int64 = 2"}, {}, {"int64 [2] = n, n"}},
    {"Tile", {"fp32 [b, 3]", "int64 = 2, r"}, {}, {"fp32 [2*b, 3*r]"}},
    {"ConstantOfShape",
     {"int64 = 2"},
     {{"value", num(7)}, {"dtype", num(7)}},
     {"int64 [2] = 7, 7"}},
    {"ConstantOfShape", {"int64 = b, 3"}, {}, {"fp32 [b, 3]"}},
    {"Range", {"int64 scalar = p", "int64 scalar = p + s", "int64 scalar = 1"}, {}, {"int64 [s]"}},
    {"Range",
     {"int64 scalar = 10", "int64 scalar = 3", "int64 scalar = -3"},
     {},
     {"int64 [3] = 10, 7, 4"}},
    {"Range",
     {"int64 scalar = n", "int64 scalar = n + 2", "int64 scalar = 1"},
     {},
     {"int64 [2] = n, n + 1"}},
    {"Range", {"int64 scalar = 5", "int64 scalar = 2", "int64 scalar = 1"}, {}, {"int64 [0] = "}},
    {"EyeLike", {"int64 [b, 3]"}, {{"dtype", num(1)}}, {"fp32 [b, 3]"}},

    {"Gather", {"fp32 [100, 8]", "int64 [b, s]"}, {}, {"fp32 [b, s, 8]"}},
    {"Gather", {"fp32 [b, 4, 8]", "int64 scalar = 1"}, {{"axis", num(1)}}, {"fp32 [b, 8]"}},
    {"Gather", {"int64 = b, s, 8", "int64 = -1, 0"}, {}, {"int64 [2] = 8, b"}},
    {"Gather", {"int64 = b, s, 8", "int64 scalar = 1"}, {}, {"int64 [] = s"}},
    {"GatherElements", {"fp32 [b, 5]", "int64 [b, 2]"}, {{"axis", num(1)}}, {"fp32 [b, 2]"}},
    {"GatherND",
     {"fp32 [b, 4, 8]", "int64 [b, 3, 1]"},
     {{"batch_dims", num(1)}},
     {"fp32 [b, 3, 8]"}},
    {"GatherND", {"fp32 [4, 5]", "int64 [n, 2]"}, {}, {"fp32 [n]"}},
    {"ScatterND", {"fp32 [4, 5]", "int64 [n, 1]", "fp32 [n, 5]"}, {}, {"fp32 [4, 5]"}},
    {"ScatterElements", {"fp32 [4, 5]", "int64 [2, 5]", "fp32 [2, 5]"}, {}, {"fp32 [4, 5]"}},
    {"Slice", {"fp32 [b, s, 8]", "int64 = 0", "int64 = 4", "int64 = -1"}, {}, {"fp32 [b, s, 4]"}},
    {"Slice",
     {"fp32 [9]", "int64 = -2", "int64 = -20", "int64 = 0", "int64 = -3"},
     {},
     {"fp32 [3]"}},
    {"Slice",
     {"int64 = b, s, 8", "int64 = 1", "int64 = 9223372036854775807", "int64 = 0"},
     {},
     {"int64 [2] = s, 8"}},
    {"Slice",
     {"int64 = b, s, 8", "int64 = -1", "int64 = -9223372036854775808", "int64 = 0", "int64 = -1"},
     {},
     {"int64 [3] = 8, s, b"}},
    {"Slice", {"fp32 [p + s]", "int64 = p", "int64 = p + s", "int64 = 0"}, {}, {"fp32 [s]"}},
    {"Slice",
     {"fp32 [b, s]", "int64 = -1", "int64 = 9223372036854775807", "int64 = 1"},
     {},
     {"fp32 [b, 1]"}},
    {"Slice", {"fp32 [b, s]", "int64 = 0", "int64 = -1", "int64 = 1"}, {}, {"fp32 [b, s - 1]"}},
    {"Slice",
     {"fp32 [b, s]", "int64 = 1", "int64 = 2147483647", "int64 = 1"},
     {},
     {"fp32 [b, s - 1]"}},
    {"Slice", {"fp32 [s]", "int64 = 0", "int64 = 5"}, {}, {"fp32 [min(5, s)]"}},
    {"Slice",
     {"fp32 [s]", "int64 = 0", "int64 = 9223372036854775807", "int64 = 0", "int64 = 2"},
     {},
     {"fp32 [floor(s + 1 / 2)]"}},
    {"Slice", {"fp32 [64]", "int64 = 0", "int64 = n"}, {}, {"fp32 [min(64, n)]"}},
    {"Split", {"fp32 [b, 12]", "int64 = 4, 8"}, {{"axis", num(1)}}, {"fp32 [b, 4]", "fp32 [b, 8]"}},
    {"Split", {"fp32 [5]"}, {{"num_outputs", num(2)}}, {"fp32 [3]", "fp32 [2]"}},
    {"Split", {"int64 = a, b, 3", "int64 = 1, 2"}, {}, {"int64 [1] = a", "int64 [2] = b, 3"}},
    {"Concat", {"fp32 [b, p, 8]", "fp32 [b, s, 8]"}, {{"axis", num(1)}}, {"fp32 [b, p + s, 8]"}},
    {"Concat", {"int64 = b", "int64 = -1, 8"}, {{"axis", num(0)}}, {"int64 [3] = b, -1, 8"}},
    {"Pad", {"fp32 [b, 3]", "int64 = 0, 1, 0, 2"}, {}, {"fp32 [b, 6]"}},
    {"Pad", {"fp32 [b, 3]", "int64 = n, 2", "fp32 []", "int64 = 0"}, {}, {"fp32 [b + n + 2, 3]"}},
    {"Trilu", {"fp32 [b, s, s]", "int64 scalar = 1"}, {{"upper", num(0)}}, {"fp32 [b, s, s]"}},
    {"OneHot", {"int64 [b]", "int64 scalar = 9", "fp32 [2]"}, {{"axis", num(0)}}, {"fp32 [9, b]"}},
    {"tenon.SelectRows", {"fp32 [1, t, 8]", "int64 [r]"}, {}, {"fp32 [1, r, 8]"}},

    {"RotaryEmbedding",
     {"fp32 [b, 4, s, 8]", "fp32 [99, 4]", "fp32 [99, 4]", "int64 [b, s]"},
     {},
     {"fp32 [b, 4, s, 8]"}},
    {"RotaryEmbedding",
     {"fp32 [b, s, 32]", "fp32 [b, s, 2]", "fp32 [b, s, 2]"},
     {{"num_heads", num(4)}, {"rotary_embedding_dim", num(4)}},
     {"fp32 [b, s, 32]"}},
    {"Attention",
     {"fp32 [b, s, 32]", "fp32 [b, s, 16]", "fp32 [b, s, 8]"},
     {{"q_num_heads", num(4)}, {"kv_num_heads", num(2)}},
     {"fp32 [b, s, 16]"}},
    {"Attention",
     {"fp32 [b, 4, s, 8]", "fp32 [b, 2, s, 8]", "fp32 [b, 2, s, 6]", "bool [s, p + s]",
      "fp32 [b, 2, p, 8]", "fp32 [b, 2, p, 6]"},
     {},
     {"fp32 [b, 4, s, 6]", "fp32 [b, 2, p + s, 8]", "fp32 [b, 2, p + s, 6]",
      "fp32 [b, 4, s, p + s]"}},
    {"tenon.Attention",
     {"fp32 [b, 4, s, 8]", "fp32 [b, 2, t, 8]", "fp32 [b, 2, t, 6]", "fp32 [b, 1, s, t]"},
     {{"scale", 0.5F}},
     {"fp32 [b, 4, s, 6]"}},
    {"tenon.CachedAttention",
     {"fp32 [1, t, 64]", "fp32 [1, t, 64]", "fp32 [1, t, 64]", "fp32 [1, t, 4]", "fp32 [1, t, 4]"},
     {{"q_heads", num(4)},
      {"kv_heads", num(2)},
      {"head_dim", num(8)},
      {"rotary_dim", num(8)},
      {"k_offset", num(32)},
      {"v_offset", num(48)}},
     {"fp32 [1, t, 32]"}},
};

TEST(Inference, GivesTypesShapesAndContents) {
  for (const Case& test : kCases) check(test);
}

TEST(Inference, CoversAllFamilies) {
  EXPECT_GE(all_ops().size(), 120U);
  std::set<std::string_view> seen;
  for (const OpSchema* op : all_ops()) {
    EXPECT_TRUE(seen.insert(op->name).second) << op->name;
    EXPECT_EQ(&find_op(op->name), op);
    EXPECT_LE(op->since_opset, 25);
    EXPECT_EQ(op->since_opset == 0, op->name.substr(0, 6) == "tenon.");
  }
}

struct Refusal {
  Case what;
  std::string message;
};

const Refusal kRefusals[] = {
    {{"Relu", {"bool [3]"}, {}, {}}, "input 0 (x) is bool, expected a number type"},
    {{"Exp", {"int64 [3]"}, {}, {}}, "is int64, expected a float type"},
    {{"Add", {"fp32 [3]", "fp16 [3]"}, {}, {}}, "is fp16, expected fp32"},
    {{"Cast", {"fp32 [3]"}, {}, {}}, "attribute \"to\" is missing"},
    {{"Cast", {"fp32 [3]"}, {{"to", num(8)}}, {}}, "element type 8 (string) is not supported"},
    {{"Cast", {"fp32 [3]"}, {{"to", num(-4)}}, {}}, "element type -4 (unknown)"},
    {{"Softmax", {"fp32 [3]"}, {{"axis", num(1)}}, {}}, "axis 1 of a tensor of rank 1"},
    {{"MatMul", {"fp32 [2, 3]", "fp32 [4, 5]"}, {}, {}}, "sizes 3 and 4 differ"},
    {{"MatMul", {"fp32 []", "fp32 [4, 5]"}, {}, {}}, "expected rank 1 or more"},
    {{"tenon.Linear", {"fp32 [2, 3]", "fp32 [3, 5]"}, {{"activation", std::string("elu")}}, {}},
     "activation \"elu\""},
    {{"tenon.Conv", {"fp32 [b, h, w, 4]", "fp32 [35, 8]"}, {{"kernel_shape", Ints{3, 3}}}, {}},
     "sizes 35 and 36 differ"},
    {{"tenon.Conv", {"fp32 [b, 2, w, 4]", "fp32 [36, 8]"}, {{"kernel_shape", Ints{3, 3}}}, {}},
     "the kernel inside the padded picture"},
    {{"tenon.Conv", {"fp32 [b, h, w, c]", "fp32 [36, 8]"}, {}, {}},
     "c channels, expected a number"},
    {{"tenon.Conv", {"fp32 [b, h, w, 4]", "fp32 [4, 8]"}, {{"pads", Ints{1, 1}}}, {}},
     "2 pads, expected 4"},
    {{"tenon.Conv", {"fp32 [b, h, w, 4]", "fp32 [4, 8]"}, {{"strides", Ints{1, 0}}}, {}},
     "strides 0, expected 1"},
    {{"tenon.Conv", {"fp32 [b, h, w, 4]", "fp32 [4, 8]"}, {{"group", num(3)}}, {}},
     "4 channels do not divide into 3 groups"},
    {{"tenon.Conv", {"fp32 [b, h, w, 4]", "fp32 [4, 8]"}, {{"upsample", num(3)}}, {}},
     "upsample 3, expected 1 or 2"},
    {{"tenon.Conv",
      {"fp32 [b, h, w, 4]", "fp32 [4, 8]"},
      {{"input_activation", std::string("relu")}},
      {}},
     "input_activation \"relu\""},
    {{"tenon.GroupScale",
      {"fp32 [b, h, w, 8]", "fp32 [8]", "fp32 [8]"},
      {{"num_groups", num(3)}},
      {}},
     "8 channels do not divide into 3 groups"},
    {{"GroupNormalization", {"fp32 [b, 8]", "fp32 [8]", "fp32 [8]"}, {{"num_groups", num(0)}}, {}},
     "num_groups is 0"},
    {{"GroupNormalization", {"fp32 [b, 8]", "fp32 [8]", "fp32 [8]"}, {{"num_groups", num(3)}}, {}},
     "8 channels do not divide into 3 groups"},
    {{"ReduceSum", {"fp32 [b, 8]", "int64 = 0, -2"}, {}, {}}, "axis 0 is named twice"},
    {{"ReduceSum", {"fp32 [b, 8]", "int64 [1]"}, {}, {}}, "must be computable from constants"},
    {{"TopK", {"fp32 [b, 5]", "int64 = -1"}, {}, {"", ""}}, "k is -1"},
    {{"TopK", {"fp32 [b, 5]", "int64 = 6"}, {}, {"", ""}}, "k is 6"},
    {{"Reshape", {"fp32 [2, 3]", "int64 = 4"}, {}, {}}, "the number of elements differs"},
    {{"Reshape", {"fp32 [2, 3]", "int64 = 1099511627776"}, {}, {}}, "number of elements differs"},
    {{"Reshape", {"fp32 [2, 3]", "int64 = -1, 4"}, {}, {}}, "do not divide by 4"},
    {{"Reshape", {"fp32 [2, 3]", "int64 = -1, -1"}, {}, {}}, "has -1 twice"},
    {{"Reshape", {"fp32 [2, 3]", "int64 = -2, 3"}, {}, {}}, "negative dimension"},
    {{"Reshape", {"fp32 [2, 3]", "int64 = 2, 3, 0"}, {}, {}}, "copies dimension 2"},
    {{"Reshape", {"fp32 [0, 3]", "int64 = -1, 0"}, {{"allowzero", num(1)}}, {}}, "beside a 0"},
    {{"Transpose", {"fp32 [2, 3]"}, {{"perm", Ints{0, 0}}}, {}}, "axis 0 is named twice"},
    {{"Transpose", {"fp32 [2, 3]"}, {{"perm", Ints{0, 5}}}, {}}, "axis 5"},
    {{"Squeeze", {"fp32 [2, 3]", "int64 = 0"}, {}, {}}, "sizes 2 and 1 differ"},
    {{"Expand", {"fp32 [2]", "int64 = -1"}, {}, {}}, "negative dimension"},
    {{"Expand", {"fp32 [2, 1]", "int64 = 1099511627776, 1, 1099511627776"}, {}, {}},
     "more elements than memory can hold"},
    {{"Tile", {"fp32 [2, 3]", "int64 = 4611686018427387904, 4"}, {}, {}}, "leaves 64 bits"},
    {{"ConstantOfShape", {"int64 = 1099511627776, 1099511627776"}, {}, {}}, "more elements"},
    {{"Range",
      {"int64 scalar = 0", "int64 scalar = 4611686018427387904", "int64 scalar = 1"},
      {},
      {}},
     "more elements"},
    {{"Range", {"int64 scalar = 0", "int64 scalar = 4", "int64 scalar = 0"}, {}, {}}, "range by 0"},
    {{"NonZero", {"fp32 [3]"}, {}, {}}, "depends on the elements of x"},
    {{"Gather", {"fp32 [4, 2]", "int64 = 4"}, {}, {}}, "index 4 of input 1"},
    {{"Gather", {"fp32 [4, 2]", "int64 = -5"}, {}, {}}, "outside an axis of size 4"},
    {{"Gather", {"fp32 [4, 2]", "fp32 [1]"}, {}, {}}, "expected int32 or int64"},
    {{"GatherElements", {"fp32 [4, 2]", "int64 [4, 3]"}, {}, {}},
     "do not lie inside [4, 2] off axis 0"},
    {{"GatherND", {"fp32 [4, 2]", "int64 [n, 3]"}, {}, {}}, "expected a number from 1 to 2"},
    {{"GatherND", {"fp32 [4, 2]", "int64 [n, 1]"}, {{"batch_dims", num(-1)}}, {}}, "batch_dims -1"},
    {{"ScatterND", {"fp32 [4, 5]", "int64 [3, 1]", "fp32 [2, 5]"}, {}, {}}, "sizes 2 and 3 differ"},
    {{"ScatterND",
      {"fp32 [4]", "int64 [3, 1]", "fp32 [3]"},
      {{"reduction", std::string("xor")}},
      {}},
     "reduction \"xor\""},
    {{"Slice", {"fp32 [4]", "int64 = 0", "int64 = 4", "int64 = 0", "int64 = 0"}, {}, {}}, "step 0"},
    {{"Slice", {"fp32 [4]", "int64 = 0, 0", "int64 = 4", "int64 = 0"}, {}, {}}, "2 starts, 1 ends"},
    {{"Slice", {"fp32 [n]", "int64 = 5", "int64 = 1", "int64 = 0", "int64 = -1"}, {}, {}},
     "only a whole axis can be reversed"},
    {{"Split", {"fp32 [5]", "int64 = 2, 2"}, {}, {"", ""}}, "sizes 4 and 5 differ"},
    {{"Split", {"fp32 [5]", "int64 = -1, 6"}, {}, {"", ""}}, "have a negative one"},
    {{"Split", {"fp32 [5]", "int64 = 5"}, {}, {"", ""}}, "1 sizes for 2 outputs"},
    {{"Split", {"fp32 [1]"}, {}, {"", "", ""}}, "cannot be split into 3 parts"},
    {{"Concat", {"fp32 [2, 3]", "fp32 [2]"}, {{"axis", num(0)}}, {}}, "expected rank 2"},
    {{"Pad", {"fp32 [3]", "int64 = -2, -2"}, {}, {}}, "negative size"},
    {{"Pad", {"fp32 [3]", "int64 = 1, 1, 1"}, {}, {}}, "3 pads for 1 axes"},
    {{"Pad", {"fp32 [3]", "int64 = 1, 1"}, {{"mode", std::string("mirror")}}, {}},
     "mode \"mirror\""},
    {{"OneHot", {"int64 [b]", "int64 scalar = -9", "fp32 [2]"}, {}, {}}, "depth -9"},
    {{"RotaryEmbedding",
      {"fp32 [b, s, 30]", "fp32 [b, s, 2]", "fp32 [b, s, 2]"},
      {{"num_heads", num(4)}},
      {}},
     "does not divide into 4 heads"},
    {{"tenon.Attention",
      {"fp32 [b, s, 16]", "fp32 [b, t, 16]", "fp32 [b, t, 16]"},
      {{"q_heads", num(4)}, {"kv_heads", num(4)}, {"head_dim", num(4)}, {"k_offset", num(4)}},
      {}},
     "4 heads of 4 elements from 4 by 4 do not lie in a row of 16"},
    {{"tenon.Attention",
      {"fp32 [b, s, 16]", "fp32 [b, t, 16]", "fp32 [b, t, 16]"},
      {{"q_heads", num(4)},
       {"kv_heads", num(4)},
       {"head_dim", num(4)},
       {"precision", std::string("f8")}},
      {}},
     "precision \"f8\""},
    {{"tenon.Attention", {"fp32 [b, 3, s, 8]", "fp32 [b, 2, t, 8]", "fp32 [b, 2, t, 8]"}, {}, {}},
     "3 query heads do not divide among 2"},
    {{"tenon.CachedAttention",
      {"fp32 [t, 16]", "fp32 [t, 16]", "fp32 [t, 16]"},
      {{"q_heads", num(4)}, {"kv_heads", num(2)}, {"head_dim", num(8)}},
      {}},
     "4 heads of 8 elements from 0 by 8 do not lie in a row of 16"},
};

TEST(Inference, RefusesWithAReason) {
  for (const Refusal& test : kRefusals) {
    SCOPED_TRACE(test.what.op + " " + test.message);
    Graph graph;
    try {
      add_case(graph, test.what, test.what.outputs.size());
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(test.message));
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
    }
  }
}

TEST(Inference, ReshapeThatMayNotDivideIsAConstraint) {
  Graph graph;
  add_case(graph, {"Reshape", {"fp32 [n]", "int64 = -1, 4"}, {}, {}}, 1);
  ASSERT_EQ(graph.constraints.size(), 1U);
  EXPECT_EQ(graph.constraints[0].a.evaluate({{"n", 8}}),
            graph.constraints[0].b.evaluate({{"n", 8}}));
  EXPECT_NE(graph.constraints[0].a.evaluate({{"n", 9}}),
            graph.constraints[0].b.evaluate({{"n", 9}}));
}

TEST(Inference, TheLastTokenNeedsOne) {
  Graph graph;
  add_case(graph, {"Slice", {"fp32 [s]", "int64 = -1", "int64 = 9223372036854775807"}, {}, {}}, 1);
  ASSERT_EQ(graph.constraints.size(), 1U);
  const Constraint& constraint = graph.constraints[0];
  EXPECT_EQ(constraint.a.evaluate({{"s", 1}}), constraint.b.evaluate({{"s", 1}}));
  EXPECT_NE(constraint.a.evaluate({{"s", 0}}), constraint.b.evaluate({{"s", 0}}));
}

// What exporters write for `x.view(batch, -1, heads, width)` and for an expanded mask.
TEST(Inference, FollowsAnExportersShapeChain) {
  Graph graph;
  const Dim batch = Dim::symbol("batch");
  const Dim sequence = Dim::symbol("past") + Dim::symbol("new");
  const ValueId x = graph.add_input("x", DType::f32, {batch, sequence, Dim(64)});
  const auto ints = [&](std::vector<std::int64_t> values) {
    return graph.add_constant("ints", Tensor::from_ints({std::ssize(values)}, values));
  };
  const auto scalar = [&](std::int64_t value) {
    return graph.add_constant("int", Tensor::from_ints({}, {{value}}));
  };
  const ValueId shape = graph.add("Shape", "shape", {x});
  const ValueId first = graph.add("Gather", "first", {shape, scalar(0)});
  const ValueId width =
      graph.add("Div", "width", {graph.add("Gather", "last", {shape, scalar(2)}), scalar(4)});
  const ValueId target = graph.add("Concat", "target",
                                   {graph.add("Unsqueeze", "u0", {first, ints({0})}), ints({-1, 4}),
                                    graph.add("Unsqueeze", "u1", {width, ints({0})})},
                                   {{"axis", std::int64_t{0}}});
  const ValueId heads = graph.add("Reshape", "heads", {x, target});
  EXPECT_EQ(graph.value(heads).shape, (DimShape{batch, sequence, Dim(4), Dim(16)}));

  const ValueId size = graph.add(
      "Concat", "size", {graph.add("Unsqueeze", "u2", {first, ints({0})}), ints({1, -1, 7})},
      {{"axis", std::int64_t{0}}});
  const ValueId ones = graph.add("ConstantOfShape", "ones", {ints({4})},
                                 {{"value", std::int64_t{1}}, {"dtype", std::int64_t{7}}});
  const ValueId open =
      graph.add("Equal", "open", {size, graph.add("Mul", "minus", {ones, scalar(-1)})});
  const ValueId chosen = graph.add("Where", "chosen", {open, ones, size});
  const ValueId mask = graph.add_input("mask", DType::boolean, {batch, Dim(1), sequence, Dim(1)});
  const ValueId expanded = graph.add("Expand", "expanded", {mask, chosen});
  EXPECT_EQ(graph.value(expanded).shape, (DimShape{batch, Dim(1), sequence, Dim(7)}));
  EXPECT_TRUE(graph.constraints.empty());
}

}  // namespace
}  // namespace tenon::graph
