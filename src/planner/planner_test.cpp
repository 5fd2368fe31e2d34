// Evaluation, the choice of kernels, and engines compiled from small graphs.
#include "planner/planner.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "kernels/kernel.h"
#include "passes/passes.h"
#include "planner/kernel_choice.h"
#include "planner/pass_test_support.h"

namespace tenon::planner {
namespace {

using graph::from_text;
using graph::Graph;
using testing::ElementsAre;
using testing::HasSubstr;

template <typename Body>
std::string message_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

const char* const kSum =
    "input \"x\" fp32[n]\ninput \"y\" fp32[2]\nconstant \"c\" fp32[] = 3\n"
    "node \"double\" = Mul(\"x\", \"c\") -> \"d\"\nnode \"sum\" = Add(\"d\", \"y\") -> "
    "\"z\"\noutput \"z\"\n";

TEST(Evaluate, ComputesOnlyWhatIsWanted) {
  const Graph graph = from_text(kSum);
  const graph::ValueId x = graph.inputs()[0];
  const graph::ValueId wanted[] = {*graph.find_value("d"), *graph.find_value("c"), graph::kNoValue};
  const auto values = evaluate(graph, wanted, {{x, Tensor::from_floats({3}, {{1, 2, 3}})}});
  EXPECT_THAT(values[0].as<float>(), ElementsAre(3, 6, 9));
  EXPECT_THAT(values[1].as<float>(), ElementsAre(3));
  EXPECT_EQ(values[2].data(), nullptr);
}

TEST(Evaluate, AFedValueIsNotComputed) {
  const Graph graph = from_text(kSum);
  const auto values = evaluate(graph, graph.outputs(),
                               {{*graph.find_value("d"), Tensor::from_floats({2}, {{5, 6}})},
                                {graph.inputs()[1], Tensor::from_floats({2}, {{1, 1}})}});
  EXPECT_THAT(values[0].as<float>(), ElementsAre(6, 7));
}

TEST(Evaluate, RefusesWhatDoesNotFit) {
  const Graph graph = from_text(kSum);
  const graph::ValueId x = graph.inputs()[0];
  const graph::ValueId y = graph.inputs()[1];
  const auto run = [&](Tensor first, Tensor second) {
    return message_of([&] {
      evaluate(graph, graph.outputs(), {{x, std::move(first)}, {y, std::move(second)}});
    });
  };
  const Tensor two = Tensor::from_floats({2}, {{1, 2}});
  const Tensor three = Tensor::from_floats({3}, {{1, 2, 3}});
  EXPECT_EQ(run(two, two), "no error");
  EXPECT_THAT(run(three, two), HasSubstr("sum: "));
  EXPECT_THAT(run(three, two), HasSubstr("they must be equal"));
  EXPECT_THAT(run(two, three), HasSubstr("value y is [3], expected [2] = [2]"));
  EXPECT_THAT(run(two, Tensor::from_ints({2}, {{1, 2}})),
              HasSubstr("value y is int64 [2], expected fp32"));
  EXPECT_THAT(run(Tensor::from_floats({}, {{1}}), two),
              HasSubstr("value x is fp32 [], expected fp32 [n]"));
  EXPECT_THAT(message_of([&] {
                evaluate(graph, graph.outputs(), {{y, two}});
              }),
              testing::Ne("no error"));
}

const char* const kMatMul =
    "input \"x\" fp32[n, 2]\nconstant \"w\" fp32[2, 3] = 1 2 3 4 5 0.1\n"
    "node \"p\" = MatMul(\"x\", \"w\") -> \"y\"\noutput \"y\"\n";

TEST(ChooseKernel, KeepsConstantsInTheNarrowestExactType) {
  Graph graph = from_text(
      "input \"ids\" int64[n]\nconstant \"table\" fp32[2, 2] = 1 2 3 4\n"
      "node \"wide\" = Gather(\"table\", \"ids\") -> \"y\"\noutput \"y\"\n");
  graph::Value& table = graph.value(*graph.find_value("table"));
  const Tensor numbers = table.constant->load();
  table.constant = cast_source(owned_source(converted(numbers.view(), DType::f16)), DType::f32);
  const graph::Node& gather = graph.node(graph.order()[0]);
  for (const Target& target :
       {Target::reference_run(), Target::native(Precision::fp32), Target::native(Precision::bf16)})
    EXPECT_EQ(choose_kernel(graph, gather, target).storage[0], DType::f16);
  // Without a narrower exact type it is the policy that decides.
  table.constant = owned_source(numbers);
  EXPECT_EQ(choose_kernel(graph, gather, Target::native(Precision::fp32)).storage[0], DType::f32);
  EXPECT_EQ(choose_kernel(graph, gather, Target::native(Precision::bf16)).storage[0], DType::bf16);
  EXPECT_EQ(choose_kernel(graph, gather, Target::reference_run()).storage[0], DType::f32);
}

TEST(ChooseKernel, ReferenceTakesThePlainKernel) {
  const Graph graph = from_text(kMatMul);
  const KernelChoice choice =
      choose_kernel(graph, graph.node(graph.order()[0]), Target::reference_run());
  ASSERT_EQ(choice.kernels.size(), 1U);
  EXPECT_EQ(kernels::find_row(choice.kernels[0].kernel)->isa, Isa::none);
  EXPECT_EQ(choice.weight_format, "");
}

TEST(ChooseKernel, LinearIsPackedForItsPrecision) {
  for (const auto& [precision, type] :
       {std::pair{Precision::fp32, DType::f32}, std::pair{Precision::bf16, DType::bf16}}) {
    Graph graph = from_text(kMatMul);
    passes::fuse_linear(graph, {});
    const KernelChoice choice =
        choose_kernel(graph, graph.node(graph.order()[0]), Target::native(precision));
    if (choice.weight_format.empty()) GTEST_SKIP() << "no packed kernel on this processor";
    EXPECT_EQ(choice.storage[1], type);
    EXPECT_EQ(kernels::find_format(choice.weight_format)->dtype, type);
  }
}

TEST(ChooseKernel, NamesANodeThatNoKernelTakes) {
  Graph graph =
      from_text("input \"x\" fp32[n]\nnode \"odd\" = Neg(\"x\") -> \"y\"\noutput \"y\"\n");
  graph::OpSchema unknown = graph::find_op("Neg");
  unknown.name = "Frobnicate";
  graph.node(graph.order()[0]).op = &unknown;
  EXPECT_THAT(message_of([&] {
                choose_kernel(graph, graph.node(graph.order()[0]), Target::native(Precision::fp32));
              }),
              HasSubstr("node odd: no kernel for Frobnicate of fp32"));
}

std::shared_ptr<const engine::Engine> compiled(std::string_view text, const Target& target) {
  Graph graph = from_text(text);
  CompileOptions options;
  options.target = target;
  options.name = "small";
  options.threads = 1;
  return compile(graph, options);
}

TEST(Compile, SharesConstantsAndGivesViewsNoKernel) {
  const auto engine = compiled(
      "input \"x\" fp32[2, n]\nconstant \"c\" fp32[] = 3\nconstant \"s\" int64[1] = -1\n"
      "node \"a\" = Mul(\"x\", \"c\") -> \"p\"\nnode \"b\" = Add(\"p\", \"c\") -> \"q\"\n"
      "node \"v\" = Reshape(\"q\", \"s\") -> \"y\"\noutput \"y\"\noutput \"c\"\n",
      Target::reference_run());
  ASSERT_EQ(engine->steps.size(), 3U);
  EXPECT_EQ(engine->steps[0].inputs[1], engine->steps[1].inputs[1]);
  EXPECT_EQ(engine->outputs[1], engine->steps[0].inputs[1]);
  EXPECT_TRUE(engine->steps[2].kernels.empty());
  EXPECT_EQ(engine->constants.size(), 2U);
  EXPECT_EQ(*reinterpret_cast<const float*>(engine->constants[0].data.get()), 3);
  EXPECT_EQ(engine->values[static_cast<std::size_t>(engine->inputs[0])].name, "x");
  EXPECT_EQ(engine->precision, "reference");
  engine::validate(*engine);
}

TEST(Compile, ReportsPassesAndProgress) {
  Graph graph = from_text(kMatMul);
  CompileOptions options;
  options.target = Target::native(Precision::fp32);
  options.threads = 1;
  std::uint64_t last = 0;
  std::uint64_t all = 0;
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_GE(done, last);
    last = done;
    all = total;
  };
  CompileReport report;
  MemoryStore store;
  const auto engine = compile(graph, options, store, &report);
  EXPECT_EQ(report.passes.size(), passes::all_passes().size());
  EXPECT_EQ(last, all);
  EXPECT_EQ(all, engine->weight_bytes());
  EXPECT_EQ(engine->steps.at(0).op, "tenon.Linear");
}

TEST(Compile, AnUnknownSkippedPassIsRefused) {
  Target target = Target::native(Precision::fp32);
  target.skip_passes = {"fuse_linaer"};
  EXPECT_THAT(message_of([&] { compiled(kMatMul, target); }),
              HasSubstr("no pass named 'fuse_linaer'"));
  target.skip_passes = {"fuse_linear"};
  EXPECT_EQ(compiled(kMatMul, target)->steps.at(0).op, "MatMul");
}

TEST(Compile, WritesTheGraphAfterEveryPass) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "tenon_planner_dump";
  std::filesystem::remove_all(folder);
  Graph graph = from_text(kMatMul);
  CompileOptions options;
  options.target = Target::native(Precision::fp32);
  options.dump = folder;
  compile(graph, options);
  EXPECT_TRUE(std::filesystem::exists(folder / "00-source.txt"));
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files += entry.is_regular_file();
  EXPECT_EQ(files, passes::all_passes().size() + 1);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace tenon::planner
