#include "graph/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "graph/op_schema.h"

namespace tenon::graph {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Dim kBatch = Dim::symbol("batch");

template <typename Body>
std::string message_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::vector<std::string> names(const Graph& graph, const std::vector<NodeId>& ids) {
  std::vector<std::string> found;
  for (const NodeId id : ids) found.push_back(graph.node(id).name);
  return found;
}

TEST(Graph, InfersWhatIsAdded) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::f32, {kBatch, Dim(4)});
  const ValueId w = graph.add_constant("w", Tensor::from_floats({4}, std::vector<float>(4, 1)));
  const ValueId sum = graph.add("Add", "sum", {x, w}, {}, "model.layers.0");
  graph.mark_output(sum, "y");
  EXPECT_EQ(graph.value(sum).shape, (DimShape{kBatch, Dim(4)}));
  EXPECT_EQ(graph.value(sum).name, "y");
  EXPECT_EQ(graph.find_value("y"), sum);
  EXPECT_EQ(graph.producer_of(sum, "Add")->module, "model.layers.0");
  EXPECT_EQ(graph.producer_of(sum, "Mul"), nullptr);
  EXPECT_TRUE(graph.is_constant(w));
  verify(graph);
}

TEST(Graph, MakesNamesUnique) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::f32, {});
  EXPECT_EQ(graph.value(graph.add_input("x", DType::f32, {})).name, "x_1");
  graph.add("Neg", "neg", {x});
  const NodeId second = graph.value(graph.add("Neg", "neg", {x})).producer;
  EXPECT_EQ(graph.node(second).name, "neg_1");
}

TEST(Graph, ErrorsNameTheNodeAndLeaveNothingBehind) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::f32, {Dim(2), Dim(3)});
  const ValueId y = graph.add_input("y", DType::f32, {Dim(4), Dim(3)});
  const std::string message = message_of([&] { graph.add("Add", "bad", {x, y}); });
  EXPECT_THAT(message, HasSubstr("node bad: Add(fp32 [2, 3], fp32 [4, 3])"));
  EXPECT_THAT(message, HasSubstr("sizes 2 and 4 differ"));
  EXPECT_FALSE(graph.find_value("bad_output"));
  EXPECT_TRUE(graph.order().empty());
  EXPECT_THAT(message_of([&] { graph.add("Frobnicate", "n", {x}); }),
              HasSubstr("operator Frobnicate is not supported"));
  EXPECT_THAT(message_of([&] {
                graph.add("Neg", "n", {x, y});
              }),
              HasSubstr("2 inputs, expected 1 to 1"));
  EXPECT_THAT(message_of([&] {
                graph.add("Neg", "n", {x}, {{"depth", std::int64_t{1}}});
              }),
              HasSubstr("attribute \"depth\" is not known"));
  EXPECT_THAT(message_of([&] {
                graph.add("Add", "n", {x, kNoValue});
              }),
              HasSubstr("input 1 is missing"));
}

TEST(Graph, RefusesShapesThatCannotBe) {
  Graph graph;
  EXPECT_THROW(graph.add_input("a", DType::f32, {Dim(-1)}), Error);
  EXPECT_THROW(graph.add_input("b", DType::f32, {Dim(1LL << 40), Dim(1LL << 40)}), Error);
  EXPECT_THROW(graph.add_input("c", DType::f32, DimShape(100, Dim(1))), Error);
  const ValueId x = graph.add_input("x", DType::f32, {Dim(1LL << 40)});
  const ValueId column = graph.add("Unsqueeze", "column",
                                   {x, graph.add_constant("one", Tensor::from_ints({1}, {{1}}))});
  EXPECT_THAT(message_of([&] {
                graph.add("Add", "outer", {x, column});
              }),
              HasSubstr("more elements than memory can hold"));
}

TEST(Graph, OrdersByDependenceThenAge) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::f32, {});
  const ValueId a = graph.add("Neg", "a", {x});
  const ValueId b = graph.add("Neg", "b", {x});
  graph.add("Add", "c", {a, b});
  EXPECT_THAT(names(graph, graph.order()), ElementsAre("a", "b", "c"));
  graph.set_input(graph.value(a).producer, 0, b);
  EXPECT_THAT(names(graph, graph.order()), ElementsAre("b", "a", "c"));
  EXPECT_THAT(names(graph, graph.readers(b)), ElementsAre("a", "c"));
}

TEST(Graph, NamesANodeOfACycle) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::f32, {});
  const ValueId a = graph.add("Neg", "a", {x});
  const ValueId b = graph.add("Neg", "b", {a});
  graph.set_input(graph.value(a).producer, 0, b);
  EXPECT_THAT(message_of([&] { graph.order(); }), HasSubstr("node a is part of a cycle"));
}

TEST(Graph, ReplacedOutputsKeepTheirNames) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::f32, {});
  const ValueId a = graph.add("Neg", "a", {x});
  const ValueId b = graph.add("Identity", "b", {a});
  graph.mark_output(b, "y");
  graph.replace_value(b, a);
  graph.remove_node(graph.value(b).producer);
  graph.tidy();
  ASSERT_EQ(graph.outputs().size(), 1U);
  EXPECT_EQ(graph.value(graph.outputs()[0]).name, "y");
  EXPECT_THAT(names(graph, graph.order()), ElementsAre("a"));
  verify(graph);
}

TEST(Graph, AnInputThatBecomesAnOutputKeepsItsName) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::f32, {});
  const ValueId a = graph.add("Identity", "a", {x});
  graph.mark_output(a, "y");
  graph.mark_output(x, "z");
  graph.replace_value(a, x);
  graph.remove_node(graph.value(a).producer);
  graph.tidy();
  EXPECT_EQ(graph.value(graph.inputs()[0]).name, "x");
  EXPECT_EQ(graph.value(graph.outputs()[0]).name, "y");
  EXPECT_EQ(graph.value(graph.outputs()[1]).name, "z");
  verify(graph);
}

TEST(Graph, TwoOutputsOfOneValueStayTwo) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::f32, {});
  const ValueId a = graph.add("Neg", "a", {x});
  const ValueId b = graph.add("Neg", "b", {x});
  graph.mark_output(a, "first");
  graph.mark_output(b, "second");
  graph.replace_value(b, a);
  EXPECT_EQ(graph.value(graph.outputs()[0]).name, "first");
  EXPECT_EQ(graph.value(graph.outputs()[1]).name, "second");
  EXPECT_NE(graph.outputs()[0], graph.outputs()[1]);
  EXPECT_THAT(message_of([&] { graph.mark_output(x, "first"); }),
              HasSubstr("belongs to another value"));
}

TEST(Graph, TidyDropsWhatNothingNeeds) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::f32, {Dim(2)});
  graph.add("Neg", "dead", {x});
  graph.add_constant("unused", Tensor::from_ints({1}, {{7}}));
  const ValueId a = graph.add("Abs", "live", {x});
  graph.mark_output(a, "y");
  graph.tidy();
  EXPECT_EQ(graph.value_count(), 2U);
  EXPECT_FALSE(graph.find_value("unused"));
  EXPECT_EQ(graph.value(*graph.find_value("y")).producer, NodeId{0});
  verify(graph);
}

TEST(Graph, SubstitutionGivesNumbers) {
  Graph graph;
  const Dim past = Dim::symbol("past");
  const ValueId x = graph.add_input("x", DType::f32, {kBatch, past});
  const ValueId y = graph.add_input("y", DType::f32, {kBatch, Dim::symbol("new")});
  const ValueId all = graph.add("Concat", "all", {x, y}, {{"axis", std::int64_t{1}}});
  EXPECT_EQ(graph.value(all).shape[1], past + Dim::symbol("new"));
  graph.substitute({{"past", Dim(3)}, {"batch", Dim(1)}});
  EXPECT_EQ(graph.value(all).shape, (DimShape{Dim(1), Dim::symbol("new") + Dim(3)}));
}

TEST(Graph, RecordsWhatItAssumes) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::f32, {Dim::symbol("total")});
  const ValueId y = graph.add_input("y", DType::f32, {Dim::symbol("past") + Dim::symbol("new")});
  const ValueId sum = graph.add("Add", "sum", {x, y});
  EXPECT_EQ(graph.value(sum).shape[0], Dim::symbol("total"));
  ASSERT_EQ(graph.constraints.size(), 1U);
  EXPECT_EQ(graph.constraints[0].where, "sum");
  graph.infer_again();
  EXPECT_EQ(graph.constraints.size(), 1U);
}

TEST(Graph, VerifyFindsWhatIsWrong) {
  Graph graph;
  const ValueId x = graph.add_input("x", DType::f32, {kBatch});
  const ValueId a = graph.add("Neg", "a", {x});
  const ValueId b = graph.add("Neg", "b", {a});
  graph.mark_output(b, "y");
  graph.value(a).shape = {Dim(3)};
  EXPECT_THAT(message_of([&] { verify(graph); }), HasSubstr("inference says fp32 [batch]"));
  graph.infer_again();
  verify(graph);
  graph.remove_node(graph.value(a).producer);
  EXPECT_THAT(message_of([&] { verify(graph); }),
              HasSubstr("node b reads a_output before it is computed"));
}

}  // namespace
}  // namespace tenon::graph
