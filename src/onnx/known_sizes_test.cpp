// Sizes that only one number fits are numbers after reading; others stay open.
#include "onnx/known_sizes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "onnx/test_models.h"

namespace tenon::onnx {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::string input_shape(const graph::Graph& graph) {
  return tenon::to_string(graph.value(graph.inputs().at(0)).shape);
}

TEST(KnownSizes, FollowFromTheWeight) {
  auto model = model_of(17);
  add_floats(model, "w", {3, 1}, {1, 2, 3});
  add_node(model, "MatMul", {"x", "w"}, {"y"});
  const graph::Graph graph = read_model(model);
  EXPECT_EQ(input_shape(graph), "[2, 3]");
  EXPECT_THAT(graph.constraints, IsEmpty());
}

TEST(KnownSizes, StayOpenWithoutOne) {
  auto model = model_of(17);
  add_node(model, "Relu", {"x"}, {"y"});
  EXPECT_EQ(input_shape(read_model(model)), "[2, n]");
}

TEST(KnownSizes, MayContradictEachOther) {
  auto model = model_of(17);
  add_floats(model, "v", {3, 1}, {1, 2, 3});
  add_floats(model, "w", {4, 1}, {1, 2, 3, 4});
  add_node(model, "MatMul", {"x", "v"}, {"a"});
  add_node(model, "MatMul", {"x", "w"}, {"b"});
  add_node(model, "Add", {"a", "b"}, {"y"});
  EXPECT_THAT(refusal(model), HasSubstr("4"));
}

TEST(RandomNormal, IsItsMean) {
  auto model = model_of(17);
  auto& noise = add_node(model, "RandomNormalLike", {"x"}, {"noise"});
  auto& mean = *noise.add_attribute();
  mean.set_name("mean");
  mean.set_type(::onnx::AttributeProto::FLOAT);
  mean.set_f(0.5F);
  add_node(model, "Add", {"x", "noise"}, {"y"});
  const std::string text = dump(read_model(model));
  EXPECT_THAT(text, HasSubstr("Expand"));
  EXPECT_THAT(text, HasSubstr("0.5"));
}

}  // namespace
}  // namespace tenon::onnx
