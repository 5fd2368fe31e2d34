// Sound models pass, planted faults are found in the right module and named.
#include <cmath>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "models/model.h"
#include "planner/planner.h"
#include "tensor/npy.h"
#include "verify/comparison.h"
#include "verify/trace.h"

namespace tenon::verify {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const std::filesystem::path kModels = std::filesystem::path(TENON_SOURCE_DIR) / "tests" / "models";

backend::CpuBackend& cpu() {
  static backend::CpuBackend backend(2);
  return backend;
}

// Gives the weight of that name, or another in its place.
using Change = std::function<SourcePtr(const std::string& name, SourcePtr stored)>;

std::shared_ptr<const engine::Engine> compiled(const std::filesystem::path& folder,
                                               const Target& target, const Change& change = {},
                                               DType dtype = DType::f32) {
  const auto checkpoint = checkpoint::Checkpoint::open(folder);
  const models::Weights weights = [&](const std::string& name, const Shape& shape) {
    SourcePtr stored = checkpoint.weight(name, shape);
    return change ? change(name, stored) : stored;
  };
  for (const auto& architecture : models::architectures()) {
    if (architecture.name != checkpoint.architecture()) continue;
    graph::Graph graph = architecture.build(checkpoint.config(), weights, {dtype, true});
    planner::CompileOptions options;
    options.target = target;
    options.name = folder.filename();
    return planner::compile(graph, options);
  }
  return nullptr;
}

Subject subject(const std::string& model, const Target& target, const Change& change = {},
                DType dtype = DType::f32) {
  return {model, compiled(kModels / model, target, change, dtype), cpu()};
}

std::vector<std::vector<std::int32_t>> recorded_prompts(const std::string& model) {
  const auto recording = read_npz(kModels / model / "expected.npz");
  const Tensor& ids = recording.find("ids")->second;
  std::vector<std::vector<std::int32_t>> prompts(static_cast<std::size_t>(ids.shape()[0]));
  const auto all = ids.as<std::int64_t>();
  for (std::size_t i = 0; i < all.size(); ++i)
    prompts[i / static_cast<std::size_t>(ids.shape()[1])].push_back(
        static_cast<std::int32_t>(all[i]));
  return prompts;
}

Change scaled_row(const std::string& weight, std::int64_t row, float factor) {
  return [=](const std::string& name, SourcePtr stored) -> SourcePtr {
    if (name != weight) return stored;
    Tensor values = cast_source(stored, DType::f32)->load();
    const std::int64_t width = stored->row_count();
    for (std::int64_t i = 0; i < width; ++i)
      values.as<float>()[static_cast<std::size_t>(row * width + i)] *= factor;
    return owned_source(std::move(values));
  };
}

class SoundModels : public testing::TestWithParam<const char*> {};

TEST_P(SoundModels, PassAgainstTheRecordingInFp32) {
  for (const Target& target : {Target::reference_run(), Target::native(Precision::fp32)}) {
    Subject b = subject(GetParam(), target);
    Options options;
    options.trace = Trace::always;
    const Report report = compare_with_recording(b, kModels / GetParam() / "expected.npz",
                                                 Budget::of_precision("fp32"), options);
    EXPECT_TRUE(report.passed) << to_json(report).dump(1);
    EXPECT_FALSE(report.first_departure.has_value());
    EXPECT_GE(report.values.size(), 2U);
    EXPECT_EQ(report.metrics.top1_disagreements, 0);
    EXPECT_LT(report.metrics.relative_l2, 1e-5);
  }
}

TEST_P(SoundModels, NoValueDepartsInAnyPrecision) {
  Subject a = subject(GetParam(), Target::reference_run());
  for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::int8}) {
    Subject b = subject(GetParam(), Target::native(precision));
    const auto ids = recorded_prompts(GetParam())[0];
    auto values = trace(a.watched(ids), b.watched(ids), 1 << 20);
    const auto first = find_departure(b.engine(), values);
    EXPECT_FALSE(first.has_value())
        << precision_name(precision) << " " << values[*first].value << " "
        << values[*first].relative << " explained " << values[*first].explained;
    EXPECT_GE(values.size(), 8U);
  }
}

INSTANTIATE_TEST_SUITE_P(Tiny, SoundModels,
                         testing::Values("llama-gqa", "llama-3-layers", "llama-dynamic",
                                         "llama-fp16", "neox-parallel", "neox-serial"),
                         [](const auto& model) {
                           std::string name = model.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Recording, WrongRotaryRowsAreFoundInTheFirstAttentionAndNamed) {
  const std::string model = "llama-wrong-rotary";
  const auto source = checkpoint::Checkpoint::open(kModels / model);
  for (const Target& target : {Target::reference_run(), Target::native(Precision::fp32)}) {
    Subject b = subject(model, target);
    Options options;
    options.source = &source;
    const Report report = compare_with_recording(b, kModels / model / "expected.npz",
                                                 Budget::of_precision("fp32"), options);
    EXPECT_FALSE(report.passed);
    ASSERT_TRUE(report.first_departure.has_value());
    EXPECT_THAT(report.first_departure->module, StartsWith("model.layers.0.self_attn"));
    EXPECT_EQ(report.first_departure->cause, "rotary-layout");
    EXPECT_THAT(report.first_departure->reason, HasSubstr("interleaved"));
  }
}

TEST(Recording, WithoutTheSourceTheLayerIsNamedAll) {
  Subject b = subject("llama-wrong-rotary", Target::native(Precision::fp32));
  const Report report = compare_with_recording(b, kModels / "llama-wrong-rotary" / "expected.npz",
                                               Budget::of_precision("fp32"));
  ASSERT_TRUE(report.first_departure.has_value());
  EXPECT_THAT(report.first_departure->module, StartsWith("model.layers.0"));
  EXPECT_EQ(report.first_departure->cause, "unknown");
}

// The config of one model beside the weights and answers of another.
TEST(Recording, AWrongThetaAndAWrongEpsilonAreNamed) {
  const auto folder =
      std::filesystem::temp_directory_path() / fmt::format("tenon-verify-{}", ::getpid());
  struct Case {
    const char* model;
    const char* key;
    double value;
    const char* cause;
  };
  for (const Case& wrong : {Case{"llama-theta-5e5", "rope_theta", 10000.0, "rope-theta"},
                            Case{"llama-3-layers", "rms_norm_eps", 1e-3, "norm-epsilon"},
                            Case{"neox-serial", "use_parallel_residual", 1, "residual-form"}}) {
    std::filesystem::remove_all(folder);
    std::filesystem::copy(kModels / wrong.model, folder, std::filesystem::copy_options::recursive);
    Json config = read_json(folder / "config.json");
    config[wrong.key] = config[wrong.key].is_boolean() ? Json(wrong.value != 0) : Json(wrong.value);
    std::ofstream(folder / "config.json") << config.dump();
    const auto source = checkpoint::Checkpoint::open(folder);
    Subject b(wrong.model, compiled(folder, Target::native(Precision::fp32)), cpu());
    Options options;
    options.source = &source;
    const Report report =
        compare_with_recording(b, folder / "expected.npz", Budget::of_precision("fp32"), options);
    ASSERT_TRUE(report.first_departure.has_value()) << wrong.model;
    EXPECT_EQ(report.first_departure->cause, wrong.cause) << to_json(report).dump(1);
  }
  std::filesystem::remove_all(folder);
}

TEST(Engines, ASeededFaultInAMiddleLayerIsFoundAtItsWeight) {
  const std::string model = "llama-3-layers";
  const std::string weight = "model.layers.1.mlp.down_proj.weight";
  Subject a = subject(model, Target::reference_run());
  for (const Target& target : {Target::reference_run(), Target::native(Precision::fp32)}) {
    Subject b = subject(model, target, scaled_row(weight, 5, 1.5F));
    const Report report = compare(a, b, recorded_prompts(model), Budget::of_precision("fp32"));
    EXPECT_FALSE(report.passed);
    ASSERT_TRUE(report.first_departure.has_value());
    EXPECT_EQ(report.first_departure->module, "model.layers.1.mlp.down_proj");
    EXPECT_EQ(report.first_departure->cause, "different-weight");
    EXPECT_THAT(report.first_departure->reason, HasSubstr(weight));
    EXPECT_THAT(report.first_departure->reason, HasSubstr("row 5"));
    EXPECT_THAT(report.first_departure->reason, HasSubstr("1.5 times"));
    EXPECT_EQ(report.first_departure->where.back(), 5);
  }
}

TEST(Engines, ASeededFaultIsFoundWhenLittleFitsInMemory) {
  const std::string model = "llama-3-layers";
  Subject a = subject(model, Target::reference_run());
  Subject b = subject(model, Target::native(Precision::fp32),
                      scaled_row("model.layers.2.self_attn.o_proj.weight", 0, 1.5F));
  Options options;
  options.max_bytes = 12 << 10;  // three prompts' logits of 11 tokens, a few values at a time
  const Report report =
      compare(a, b, recorded_prompts(model), Budget::of_precision("fp32"), options);
  ASSERT_TRUE(report.first_departure.has_value());
  EXPECT_EQ(report.first_departure->module, "model.layers.2.self_attn.o_proj");
}

TEST(Engines, NanInAWeightIsNamed) {
  const std::string model = "llama-gqa";
  const std::string weight = "model.layers.1.mlp.down_proj.weight";
  const Change change = scaled_row(weight, 3, NAN);
  for (const bool both : {false, true}) {
    Subject a = subject(model, Target::reference_run(), both ? change : Change());
    Subject b = subject(model, Target::native(Precision::fp32), change);
    const Report report = compare(a, b, recorded_prompts(model), Budget::of_precision("fp32"));
    EXPECT_FALSE(report.passed);
    EXPECT_FALSE(report.metrics.finite);
    ASSERT_TRUE(report.first_departure.has_value());
    EXPECT_EQ(report.first_departure->module, "model.layers.1.mlp.down_proj");
    EXPECT_EQ(report.first_departure->cause, "not-finite-weight");
    EXPECT_THAT(report.first_departure->reason, HasSubstr(weight));
    EXPECT_THAT(report.first_departure->reason, HasSubstr("[3, 0]"));
  }
  Subject b = subject(model, Target::reference_run(), change);
  const Report report =
      compare_with_recording(b, kModels / model / "expected.npz", Budget::of_precision("fp32"));
  ASSERT_TRUE(report.first_departure.has_value());
  EXPECT_EQ(report.first_departure->cause, "not-finite-weight");
}

// Gate activations of some 1e5 fit into float32 and not into float16.
TEST(Engines, AnOverflowOfFloat16IsNamed) {
  const Change large = [](const std::string& name, SourcePtr stored) -> SourcePtr {
    if (name != "model.layers.1.mlp.gate_proj.weight") return stored;
    Tensor values = cast_source(stored, DType::f32)->load();
    for (float& value : values.as<float>()) value = std::clamp(value * 1e5F, -6e4F, 6e4F);
    return owned_source(std::move(values));
  };
  Subject a = subject("llama-gqa", Target::reference_run(), large);
  Subject b = subject("llama-gqa", Target::reference_run(), large, DType::f16);
  const Report report = compare(a, b, recorded_prompts("llama-gqa"), Budget::of_precision("fp32"));
  EXPECT_FALSE(report.metrics.finite);
  ASSERT_TRUE(report.first_departure.has_value());
  EXPECT_EQ(report.first_departure->module, "model.layers.1.mlp.gate_proj");
  EXPECT_EQ(report.first_departure->cause, "float16-overflow");
  EXPECT_EQ(report.first_departure->dtype, "fp16");
  EXPECT_THAT(report.first_departure->reason, HasSubstr("65504"));
}

TEST(Engines, NarrowWeightsStayInTheirBudgetAndOutsideThatOfFp32) {
  const std::string model = "llama-3-layers";
  Subject a = subject(model, Target::reference_run());
  for (const Precision precision : {Precision::bf16, Precision::int8}) {
    Subject b = subject(model, Target::native(precision));
    const auto prompts = recorded_prompts(model);
    const Report own = compare(a, b, prompts, Budget::between(a.engine(), b.engine()));
    EXPECT_TRUE(own.passed) << to_json(own).dump(1);
    EXPECT_GT(own.metrics.mean_kl, 0);
  }
  Subject b = subject(model, Target::native(Precision::int8));
  const Report narrow = compare(a, b, recorded_prompts(model), Budget::of_precision("fp32"));
  EXPECT_FALSE(narrow.passed);
  ASSERT_TRUE(narrow.first_departure.has_value());
  EXPECT_EQ(narrow.first_departure->cause, "precision") << to_json(narrow).dump(1);
}

TEST(Engines, DifferentVocabulariesAreRefused) {
  Subject a = subject("llama-gqa", Target::reference_run());
  Subject b = subject("llama-odd-vocab", Target::reference_run());
  EXPECT_THROW(compare(a, b, recorded_prompts("llama-gqa"), {}), Error);
}

TEST(Engines, IdsOutsideTheVocabularyAndEmptyPromptsAreRefused) {
  Subject a = subject("llama-gqa", Target::reference_run());
  Subject b = subject("llama-gqa", Target::native(Precision::fp32));
  const std::vector<std::int32_t> outside = {1, 64};
  EXPECT_THROW(a.logits(outside), Error);
  EXPECT_THROW(b.logits(outside), Error);
  EXPECT_THROW(a.logits({}), Error);
  EXPECT_THROW(compare(a, b, {}, {}), Error);
}

TEST(Reports, JsonAndPageSayTheVerdict) {
  Subject a = subject("llama-gqa", Target::reference_run());
  Subject b = subject("llama-gqa", Target::native(Precision::fp32),
                      scaled_row("model.layers.0.self_attn.o_proj.weight", 0, 1.5F));
  const auto prompts = recorded_prompts("llama-gqa");
  const Report failed = compare(a, b, prompts, Budget::of_precision("fp32"));
  const Json json = to_json(failed);
  EXPECT_EQ(json["passed"], false);
  for (const char* key : {"value", "module", "op", "dtype", "max_abs", "reason"})
    EXPECT_TRUE(json["first_departure"].contains(key)) << key;
  for (const char* key : {"max_abs", "mean_kl", "top1_agreement", "perplexity_a", "perplexity_b"})
    EXPECT_TRUE(json["metrics"].contains(key)) << key;
  const std::string page = to_html(failed);
  EXPECT_THAT(page, HasSubstr("Not the same answers"));
  EXPECT_THAT(page, HasSubstr("model.layers.0.self_attn.o_proj"));
  for (const char* outside : {"http://", "https://", "src=", "@import", "<script"})
    EXPECT_THAT(page, testing::Not(HasSubstr(outside)));

  Subject sound = subject("llama-gqa", Target::native(Precision::fp32));
  const Report passed = compare(a, sound, prompts, Budget::of_precision("fp32"));
  EXPECT_TRUE(passed.passed);
  EXPECT_TRUE(to_json(passed)["first_departure"].is_null());
  EXPECT_THAT(to_html(passed), HasSubstr("Same answers"));
}

TEST(Reports, NamesAreEscapedInThePage) {
  Report report;
  report.name_a = "<b>&\"x'";
  EXPECT_THAT(to_html(report), HasSubstr("&lt;b&gt;&amp;&quot;x&#39;"));
  EXPECT_THAT(to_html(report), testing::Not(HasSubstr("<b>&")));
}

}  // namespace
}  // namespace tenon::verify
