// Networks of pictures on plain tensors: sound ones pass, planted faults are named.
#include <cmath>
#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "models/components.h"
#include "planner/planner.h"
#include "verify/parts.h"

namespace tenon::verify {
namespace {

using testing::HasSubstr;

const std::filesystem::path kTiny =
    std::filesystem::path(TENON_SOURCE_DIR) / "tests" / "text_to_image" / "tiny";

backend::CpuBackend& cpu() {
  static backend::CpuBackend backend(2);
  return backend;
}

using EnginePtr = std::shared_ptr<const engine::Engine>;

EnginePtr engine_of(const std::string& part, const Target& target) {
  const std::string folder = part.starts_with("vae") ? "vae" : part;
  graph::Graph graph =
      models::build_component(checkpoint::Checkpoint::open(kTiny / folder), part, {});
  planner::CompileOptions options;
  options.target = target;
  options.name = part;
  return planner::compile(graph, options);
}

PictureSizes sizes() {
  PictureSizes sizes;
  sizes.text_width = 16;
  sizes.factor = 2;
  sizes.multiple = 2;
  return sizes;
}

const std::vector<std::string> kParts = {"text_encoder", "unet", "vae_decoder", "vae_encoder"};

TEST(Parts, PassInEveryPrecision) {
  for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::int8}) {
    const auto both = [&](const std::string& part) -> PartEngines {
      return {engine_of(part, Target::reference_run()), engine_of(part, Target::native(precision))};
    };
    const Report report = compare_parts(kParts, both, sizes(), {}, cpu());
    EXPECT_TRUE(report.passed) << to_json(report).dump(1);
    ASSERT_EQ(report.parts.size(), 4U);
    EXPECT_FALSE(report.first_departure.has_value());
    const Json json = to_json(report);
    EXPECT_EQ(json["parts"].size(), 4U);
    for (const auto& part : json["parts"]) EXPECT_FALSE(part["outputs"].empty());
    EXPECT_THAT(to_html(report), HasSubstr("vae_decoder"));
  }
}

TEST(Parts, TheWorstComesFirstAndAProofNamesIt) {
  const auto both = [&](const std::string& part) -> PartEngines {
    return {
        engine_of(part, Target::reference_run()),
        engine_of(part, Target::native(part == "vae_decoder" ? Precision::int8 : Precision::fp32))};
  };
  PartOptions options;
  options.budget = Budget::parse("rel=1e-3,psnr=60");
  const Report report = compare_parts(kParts, both, sizes(), options, cpu());
  EXPECT_FALSE(report.passed);
  EXPECT_EQ(report.parts[0].part, "vae_decoder");
  EXPECT_TRUE(report.parts[1].passed);
  ASSERT_TRUE(report.first_departure.has_value());
  EXPECT_EQ(report.first_departure->cause, "precision");
  try {
    prove_parts(kParts, both, sizes(), options, cpu());
    FAIL() << "a part outside of its budget passed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::check_failed);
    EXPECT_THAT(error.what(), HasSubstr("vae_decoder"));
    EXPECT_THAT(error.what(), HasSubstr("PSNR"));
  }
}

TEST(Parts, ValuesThatLieChannelsLastAreCompared) {
  TensorSubject a("a", engine_of("vae_decoder", Target::reference_run()), cpu());
  TensorSubject b("b", engine_of("vae_decoder", Target::native(Precision::fp32)), cpu());
  const std::vector<std::int64_t> times = {1};
  const auto runs = seeded_runs(a.engine(), sizes(), 8, 1, times);
  Options options;
  options.trace = Trace::always;
  const Report report =
      compare_tensors(a, b, runs, Budget::of_tensors(a.engine(), b.engine()), options);
  EXPECT_TRUE(report.passed);
  EXPECT_GE(report.values.size(), 20U);
  for (const auto& value : report.values) EXPECT_LT(value.relative, 1e-5) << value.value;
}

TEST(Budgets, OfTensorsAndOfTextDoNotMix) {
  EXPECT_EQ(Budget::parse("psnr=40,rel=0.01").to_string(), "rel=0.01,psnr=40");
  EXPECT_THROW(Budget::parse("kl=1").require_for_tensors(), Error);
  EXPECT_THROW(Budget::parse("psnr=1").require_for_text(), Error);
  Budget::parse("psnr=1,max_abs=2,rel=3").require_for_tensors();
}

TEST(TensorSubjects, FitOtherExportersForms) {
  TensorSubject unet("unet", engine_of("unet", Target::reference_run()), cpu());
  const std::vector<std::int64_t> times = {500};
  const auto run = seeded_runs(unet.engine(), sizes(), 8, 2, times)[0];
  session::TensorMap given = run.inputs;
  const auto expected = unet.run(given);
  const std::vector<float> both = {500, 500};
  given.insert_or_assign("timestep", Tensor::from_floats({2}, both));
  EXPECT_EQ(std::memcmp(unet.run(given).at("out_sample").data(), expected.at("out_sample").data(),
                        expected.at("out_sample").bytes()),
            0);
  const std::vector<float> part = {500.5};
  given.insert_or_assign("timestep", Tensor::from_floats({1}, part));
  try {
    unet.run(given);
    FAIL() << "a fraction passed as an int64";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("500.5"));
    EXPECT_THAT(error.what(), HasSubstr("int64"));
  }
}

TEST(TensorSubjects, CountProducts) {
  TensorSubject unet("unet", engine_of("unet", Target::reference_run()), cpu());
  TensorSubject native("unet", engine_of("unet", Target::native(Precision::fp32)), cpu());
  const std::vector<std::int64_t> times = {1};
  const auto one = seeded_runs(unet.engine(), sizes(), 8, 1, times)[0];
  const auto two = seeded_runs(unet.engine(), sizes(), 8, 2, times)[0];
  const double products = unet.products(one.inputs);
  EXPECT_GT(products, 1e5);
  EXPECT_LT(std::abs(unet.products(two.inputs) / products - 2), 0.1);
  EXPECT_LT(std::abs(native.products(one.inputs) / products - 1), 0.5);
}

}  // namespace
}  // namespace tenon::verify
