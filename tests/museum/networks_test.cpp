// Faults inside one network: verify names the value, the reason and what to do.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "museum.h"
#include "verify/repair.h"

namespace tenon::museum {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const Target kExact = Target::reference_run();
const std::string kAttention = "down_blocks.0.attentions.0.transformer_blocks.0.attn2";

// Queries and keys of some thousands: their products leave float16, as in Stable Diffusion 2
// without upcast_attention.
Fault loud_attention() {
  Fault fault;
  fault.weight = [](const std::string& name, SourcePtr stored) -> SourcePtr {
    if (name != kAttention + ".to_q.weight" && name != kAttention + ".to_k.weight") return stored;
    return scaled_weight(name, 600).weight(name, stored);
  };
  return fault;
}

TEST(Museum, AttentionThatOverflowsFloat16) {
  models::BuildOptions half;
  half.dtype = DType::f16;
  const std::vector<std::string> parts = {"unet"};
  const auto both = [&](const std::string& part) -> verify::PartEngines {
    return {engine_of(part, kExact, loud_attention()),
            engine_of(part, kExact, loud_attention(), half)};
  };
  verify::PartOptions options;
  options.graph_of_b = [&](const std::string& part) {
    return graph_of(part, loud_attention(), half);
  };
  const auto report = verify::compare_parts(parts, both, tiny_sizes(), options, cpu());
  EXPECT_FALSE(report.passed);
  ASSERT_TRUE(report.first_departure.has_value());
  const auto& first = *report.first_departure;
  EXPECT_EQ(first.cause, "float16-overflow");
  EXPECT_THAT(first.module, HasSubstr(kAttention));
  EXPECT_EQ(first.op, "MatMul");
  EXPECT_THAT(first.reason, AllOf(HasSubstr("65504"), HasSubstr("in head "),
                                  HasSubstr("steps in float32, which was tried")));
}

TEST(Museum, TheStepsOfARepairAreAllNeeded) {
  models::BuildOptions half;
  half.dtype = DType::f16;
  const auto make = [&] { return graph_of("unet", loud_attention(), half); };
  verify::TensorSubject exact("exact", engine_of("unet", kExact, loud_attention()), cpu());
  const auto run = runs_of(exact.engine())[0];
  const auto wanted = exact.run(run.inputs);
  const auto repair = verify::find_float32_repair(make, run.inputs, wanted, cpu());
  ASSERT_TRUE(repair.has_value());
  EXPECT_LE(repair->nodes.size(), 3U);
  EXPECT_LT(repair->relative, 0.05);
  const auto outputs = [&](const std::vector<std::string>& nodes) {
    graph::Graph graph = make();
    verify::keep_in_float32(graph, nodes);
    verify::TensorSubject subject("repaired", compiled(std::move(graph), kExact), cpu());
    return subject.run(run.inputs);
  };
  const auto finite = [](const session::TensorMap& map) {
    const Tensor wide = converted(map.at("out_sample").view(), DType::f32);
    for (const float value : wide.as<float>()) {
      if (!std::isfinite(value)) return false;
    }
    return true;
  };
  EXPECT_TRUE(finite(outputs(repair->nodes)));
  for (std::size_t i = 0; i < repair->nodes.size(); ++i) {
    auto fewer = repair->nodes;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_FALSE(finite(outputs(fewer))) << repair->nodes[i];
  }
}

TEST(Museum, NanInOneWeight) {
  const std::string weight = "mid_block.resnets.0.conv1.weight";
  for (const Target& target : {kExact, Target::native(Precision::fp32)}) {
    const auto report = against_reference("unet", engine_of("unet", target, nan_in(weight)));
    EXPECT_FALSE(report.passed);
    ASSERT_TRUE(report.first_departure.has_value());
    EXPECT_EQ(report.first_departure->cause, "not-finite-weight");
    EXPECT_THAT(report.first_departure->reason, HasSubstr(weight));
    EXPECT_THAT(report.first_departure->module, HasSubstr("mid_block.resnets.0"));
  }
}

TEST(Museum, GroupNormEpsilonChanged) {
  Fault fault;
  fault.config = [](Json& config) { config["norm_eps"] = 0.1; };
  for (const Target& target : {kExact, Target::native(Precision::fp32)}) {
    const auto report = against_reference("unet", engine_of("unet", target, fault));
    EXPECT_FALSE(report.passed);
    ASSERT_TRUE(report.first_departure.has_value());
    EXPECT_EQ(report.first_departure->cause, "different-attribute")
        << report.first_departure->reason;
    EXPECT_THAT(report.first_departure->reason,
                AllOf(HasSubstr("epsilon"), HasSubstr("norm1"), HasSubstr("0.1")));
  }
}

TEST(Museum, AWeightOfAnotherCheckpoint) {
  const std::string weight = "up_blocks.1.resnets.0.conv2.weight";
  const auto report =
      against_reference("unet", engine_of("unet", kExact, scaled_weight(weight, 1.5F)));
  ASSERT_TRUE(report.first_departure.has_value());
  EXPECT_EQ(report.first_departure->cause, "different-weight");
  EXPECT_THAT(report.first_departure->reason, HasSubstr(weight));
}

// A graph whose two inputs of equal shape were named the wrong way round.
TEST(Museum, SwappedInputsOfEqualShape) {
  const auto make = [](bool swapped) {
    graph::Graph graph;
    const DimShape shape = {Dim::symbol("batch"), 4, Dim::symbol("height"), Dim::symbol("width")};
    const auto x = graph.add_input("sample", DType::f32, shape);
    const auto y = graph.add_input("masked_sample", DType::f32, shape);
    const auto twice = graph.add("Add", "twice", {swapped ? y : x, swapped ? y : x});
    const auto out = graph.add("Add", "sum", {twice, swapped ? x : y});
    graph.mark_output(out, "out_sample");
    return compiled(std::move(graph), kExact);
  };
  verify::TensorSubject a("sound", make(false), cpu());
  verify::TensorSubject b("faulty", make(true), cpu());
  const auto report =
      verify::compare_tensors(a, b, runs_of(a.engine()), verify::Budget::parse("rel=1e-4"));
  ASSERT_TRUE(report.first_departure.has_value());
  EXPECT_EQ(report.first_departure->cause, "swapped-inputs");
  EXPECT_THAT(report.first_departure->reason,
              AllOf(HasSubstr("masked_sample"), HasSubstr("sample")));
}

TEST(Museum, ChannelsSwapped) {
  Fault fault;
  fault.graph = [](graph::Graph& graph) {
    const std::vector<std::int64_t> order = {2, 1, 0};
    const auto indices = graph.add_constant("bgr", Tensor::from_ints({3}, order));
    const auto picture = graph.outputs()[0];
    graph.keep_outputs(0);
    graph.rename_value(picture, "rgb");
    Attributes axis;
    axis.set("axis", std::int64_t{1});
    graph.mark_output(graph.add("Gather", "swap", {picture, indices}, axis), "sample");
  };
  const auto report = against_reference("vae_decoder", engine_of("vae_decoder", kExact, fault));
  ASSERT_TRUE(report.first_departure.has_value());
  EXPECT_EQ(report.first_departure->cause, "channel-order") << report.first_departure->reason;
  EXPECT_THAT(report.first_departure->reason, HasSubstr("BGR in place of RGB"));
}

// Puts one node of a scalar between the input and all that reads it.
Fault scaled_input(const std::string& input, const char* op, float factor) {
  Fault fault;
  fault.graph = [=](graph::Graph& graph) {
    const auto given = *graph.find_value(input);
    const auto readers = graph.readers(given);
    const auto scale =
        graph.add_constant("scaling_factor", Tensor::from_floats({}, std::span(&factor, 1)));
    const auto scaled = graph.add(op, "scaled_input", {given, scale});
    for (const auto reader : readers) {
      for (std::size_t i = 0; i < graph.node(reader).inputs.size(); ++i) {
        if (graph.node(reader).inputs[i] == given) graph.set_input(reader, i, scaled);
      }
    }
  };
  return fault;
}

TEST(Museum, ScalingFactorAppliedTwiceOrForgotten) {
  const auto twice = against_reference(
      "vae_decoder",
      engine_of("vae_decoder", kExact, scaled_input("latent_sample", "Div", 0.18215F)));
  ASSERT_TRUE(twice.first_departure.has_value());
  EXPECT_EQ(twice.first_departure->cause, "latent-scale") << twice.first_departure->reason;
  EXPECT_THAT(twice.first_departure->reason, HasSubstr("inside the engine as well"));
  const auto forgotten = against_reference(
      "vae_decoder",
      engine_of("vae_decoder", kExact, scaled_input("latent_sample", "Mul", 0.18215F)));
  ASSERT_TRUE(forgotten.first_departure.has_value());
  EXPECT_EQ(forgotten.first_departure->cause, "latent-scale") << forgotten.first_departure->reason;
  EXPECT_THAT(forgotten.first_departure->reason, HasSubstr("is not divided"));
}

// As many channels as rows and columns, so that no shape shows it.
TEST(Museum, LatentsGivenChannelsLast) {
  Fault fault;
  fault.graph = [](graph::Graph& graph) {
    const auto given = *graph.find_value("latent_sample");
    const auto readers = graph.readers(given);
    Attributes order;
    order.set("perm", std::vector<std::int64_t>{0, 3, 1, 2});
    const auto turned = graph.add("Transpose", "turn", {given}, order);
    const auto shape = graph.add("Shape", "shape", {given});
    const auto as_given = graph.add("Reshape", "again", {turned, shape});
    for (const auto reader : readers) {
      for (std::size_t i = 0; i < graph.node(reader).inputs.size(); ++i) {
        if (graph.node(reader).inputs[i] == given) graph.set_input(reader, i, as_given);
      }
    }
  };
  const auto report = against_reference("vae_decoder", engine_of("vae_decoder", kExact, fault), 4);
  ASSERT_TRUE(report.first_departure.has_value());
  EXPECT_EQ(report.first_departure->cause, "layout") << report.first_departure->reason;
  EXPECT_THAT(report.first_departure->reason, AllOf(HasSubstr("NHWC"), HasSubstr("transpose")));
  // Where the shapes tell, the refusal says so.
  verify::TensorSubject decoder("vae_decoder", engine_of("vae_decoder", kExact), cpu());
  session::TensorMap given;
  given.emplace("latent_sample", Tensor(DType::f32, {1, 8, 8, 4}));
  try {
    decoder.run(given);
    FAIL() << "latents of NHWC passed";
  } catch (const Error& error) {
    EXPECT_THAT(error.advice(), HasSubstr("channels last"));
  }
}

TEST(Museum, TimestepInAnotherUnitOrFolded) {
  models::BuildOptions options;
  options.timestep_form = models::TimestepForm::per_batch_float;
  const auto sound = engine_of("unet", kExact, {}, options);
  const auto wrong = [&](const Fault& fault) {
    verify::TensorSubject a("sound", sound, cpu());
    verify::TensorSubject b("faulty", engine_of("unet", kExact, fault, options), cpu());
    return verify::compare_tensors(a, b, runs_of(a.engine()), verify::Budget::parse("rel=1e-4"));
  };
  const auto share = wrong(scaled_input("timestep", "Mul", 1000));
  ASSERT_TRUE(share.first_departure.has_value());
  EXPECT_EQ(share.first_departure->cause, "timestep") << share.first_departure->reason;
  EXPECT_THAT(share.first_departure->reason, HasSubstr("multiplied by 1000"));
  const auto folded = wrong(scaled_input("timestep", "Mul", 0));
  ASSERT_TRUE(folded.first_departure.has_value());
  EXPECT_EQ(folded.first_departure->cause, "ignored-input") << folded.first_departure->reason;
  EXPECT_THAT(folded.first_departure->reason, HasSubstr("timestep"));
}

TEST(Museum, TimestepWithAFractionForAnEngineOfIntegers) {
  verify::TensorSubject unet("unet", engine_of("unet", kExact), cpu());
  auto inputs = runs_of(unet.engine())[0].inputs;
  const float timestep = 999.5F;
  inputs.insert_or_assign("timestep", Tensor::from_floats({}, std::span(&timestep, 1)));
  try {
    unet.run(inputs);
    FAIL() << "a fraction passed";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("timestep"), HasSubstr("999.5"), HasSubstr("int64")));
  }
}

// The last layer is left out and the final norm reads the one before.
TEST(Museum, WrongLayerOfTheTextEncoder) {
  Fault fault;
  fault.config = [](Json& config) {
    config["num_hidden_layers"] = config["num_hidden_layers"].get<int>() - 1;
  };
  const auto report = against_reference("text_encoder", engine_of("text_encoder", kExact, fault));
  EXPECT_FALSE(report.passed);
  ASSERT_TRUE(report.first_departure.has_value());
  EXPECT_EQ(report.first_departure->cause, "other-input") << report.first_departure->reason;
  EXPECT_THAT(report.first_departure->reason, HasSubstr("layer"));
}

}  // namespace
}  // namespace tenon::museum
