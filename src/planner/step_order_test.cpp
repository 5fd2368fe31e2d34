// The order of steps: valid, and with few values alive.
#include "planner/step_order.h"

#include <set>

#include <gtest/gtest.h>

#include "graph/op_schema.h"
#include "graph/text.h"

namespace tenon::planner {
namespace {

std::vector<std::string> names(const graph::Graph& graph) {
  std::vector<std::string> found;
  for (const graph::NodeId id : step_order(graph)) found.push_back(graph.node(id).name);
  return found;
}

TEST(StepOrder, WhatIsNeededLateComesLate) {
  const graph::Graph graph = graph::from_text(
      "input \"x\" fp32[2]\ninput \"c\" fp32[2]\n"
      "node \"late\" = Neg(\"c\") -> \"k\"\n"
      "node \"one\" = Exp(\"x\") -> \"a\"\nnode \"two\" = Exp(\"a\") -> \"b\"\n"
      "node \"join\" = Add(\"k\", \"b\") -> \"y\"\noutput \"y\"\n");
  EXPECT_EQ(names(graph), (std::vector<std::string>{"one", "two", "late", "join"}));
}

TEST(StepOrder, EveryNodeOnceAfterWhatItReads) {
  const graph::Graph graph = graph::from_text(
      "input \"x\" fp32[2]\nnode \"unread\" = Neg(\"x\") -> \"u\"\n"
      "node \"a\" = Exp(\"x\") -> \"p\"\nnode \"b\" = Add(\"p\", \"p\") -> \"q\"\n"
      "node \"c\" = Mul(\"p\", \"q\") -> \"r\"\nnode \"d\" = Sub(\"r\", \"q\") -> \"s\"\n"
      "output \"q\"\noutput \"s\"\n");
  std::set<graph::NodeId> seen;
  for (const graph::NodeId id : step_order(graph)) {
    for (const graph::ValueId input : graph.node(id).inputs) {
      const graph::NodeId producer = graph.value(input).producer;
      EXPECT_TRUE(producer == graph::kNoNode || seen.contains(producer)) << graph.node(id).name;
    }
    EXPECT_TRUE(seen.insert(id).second);
  }
  EXPECT_EQ(seen.size(), graph.order().size());
}

TEST(StepOrder, DeepGraphsNeedNoDeepStack) {
  graph::Graph graph;
  graph::ValueId value = graph.add_input("x", DType::f32, {Dim(1)});
  for (int i = 0; i < 100000; ++i) value = graph.add("Neg", "", {value});
  graph.mark_output(value, "y");
  EXPECT_EQ(step_order(graph).size(), 100000U);
}

}  // namespace
}  // namespace tenon::planner
