// The whole road over the tiny checkpoint: checkpoint, graphs, engines, pipeline, against the
// pictures that diffusers made of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "models/components.h"
#include "pipelines/text_to_image/recorded_models.h"
#include "pipelines/text_to_image/session_models.h"
#include "planner/planner.h"

namespace tenon::pipelines {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

const std::filesystem::path kTiny = kRecordings / "tiny";

backend::CpuBackend& cpu() {
  static backend::CpuBackend backend(2);
  return backend;
}

const text::Tokenizer& tokenizer() {
  static const auto kTokenizer = text::load_tokenizer(kTiny / "tokenizer");
  return *kTokenizer;
}

std::shared_ptr<const engine::Engine> engine_of(const char* folder, const char* component,
                                                const Target& target,
                                                const models::BuildOptions& options) {
  graph::Graph graph =
      models::build_component(checkpoint::Checkpoint::open(kTiny / folder), component, options);
  planner::CompileOptions compile;
  compile.target = target;
  compile.name = component;
  return planner::compile(graph, compile);
}

struct Form {
  const char* name;
  Target target;
  models::TimestepForm timestep;
};

std::vector<Form> forms() {
  return {{"Reference", Target::reference_run(), models::TimestepForm::per_batch_float},
          {"ReferenceScalar", Target::reference_run(), models::TimestepForm::scalar_int64},
          {"Native", Target::native(Precision::fp32), models::TimestepForm::per_batch_float}};
}

PictureEngines engines_of(const Form& form, const char* unet) {
  models::BuildOptions options;
  options.timestep_form = form.timestep;
  options.hidden_states = true;
  return {{"text_encoder", engine_of("text_encoder", "text_encoder", form.target, options)},
          {"unet", engine_of(unet, "unet", form.target, options)},
          {"vae_encoder", engine_of("vae", "vae_encoder", form.target, options)},
          {"vae_decoder", engine_of("vae", "vae_decoder", form.target, options)}};
}

PictureFiles files_of(const std::string& unet) {
  return {{"unet/config.json", read_file(kTiny / unet / "config.json")},
          {"vae/config.json", read_file(kTiny / "vae/config.json")},
          {"text_encoder/config.json", read_file(kTiny / "text_encoder/config.json")}};
}

SessionModels& models_of(std::size_t form, bool nine) {
  static std::map<std::pair<std::size_t, bool>, std::unique_ptr<SessionModels>> all;
  auto& models = all[{form, nine}];
  if (!models) {
    const char* unet = nine ? "unet_inpaint" : "unet";
    models =
        std::make_unique<SessionModels>(engines_of(forms()[form], unet), files_of(unet), cpu());
  }
  return *models;
}

class TinyModel : public testing::TestWithParam<std::size_t> {};

// Both sides compute in float32 and differ by the order of sums, some 1e-6 of the values a network
// and step; a level of a picture is 8e-3 of its range, so all but values at a rounding border
// agree, and those by one level.
TEST_P(TinyModel, MakesThePicturesOfDiffusers) {
  const Form form = forms()[GetParam()];
  int runs = 0;
  for (const Json& run : recorded_runs()) {
    const std::string name = run["name"];
    SCOPED_TRACE(name);
    SessionModels& models = models_of(GetParam(), get_bool(run, "nine", false));
    TextToImage pipeline(models, tokenizer(), run["scheduler_config"]);
    const ImageRequest request = recorded_request(run);
    const ImageResult result = pipeline.run(request);
    const auto cut = Contains(HasSubstr("fractions are cut off"));
    if (testing::Value(result.notes, cut)) {
      EXPECT_EQ(form.timestep, models::TimestepForm::scalar_int64);
      continue;
    }
    const Tensor& pictures = recorded(name, "images");
    std::size_t at = 0;
    int largest = 0;
    for (const auto& image : result.images) {
      for (const std::uint8_t value : image.pixels()) {
        largest = std::max(largest, std::abs(value - pictures.as<std::uint8_t>()[at++]));
      }
    }
    EXPECT_EQ(at, pictures.as<std::uint8_t>().size());
    EXPECT_LE(largest, 1);
    ++runs;
  }
  EXPECT_GE(runs, form.timestep == models::TimestepForm::scalar_int64 ? 25 : 38);
}

std::string form_name(const testing::TestParamInfo<std::size_t>& info) {
  return forms()[info.param].name;
}

INSTANTIATE_TEST_SUITE_P(Forms, TinyModel, testing::Range<std::size_t>(0, forms().size()),
                         form_name);

TEST(SessionModels, ReadsItsFacts) {
  const DiffusionFacts facts = models_of(0, false).facts();
  EXPECT_EQ(facts.latent_channels, 4);
  EXPECT_EQ(facts.unet_channels, 4);
  EXPECT_EQ(facts.spatial_factor, 2);
  EXPECT_EQ(facts.required_multiple, 4);
  EXPECT_EQ(facts.native_size, 16);
  EXPECT_EQ(facts.scaling_factor, 0.18215);
  EXPECT_EQ(facts.text_length, 77);
  EXPECT_EQ(facts.text_width, 16);
  EXPECT_EQ(facts.unet_text_width, 16);
  EXPECT_EQ(facts.fixed_batch, 0);
  EXPECT_EQ(facts.tile_size, 16);
  EXPECT_FALSE(facts.integer_timesteps);
  EXPECT_TRUE(facts.has_encoder);
  EXPECT_FALSE(facts.has_tiny_decoder);
  EXPECT_EQ(models_of(0, true).facts().unet_channels, 9);
  EXPECT_TRUE(models_of(1, false).facts().integer_timesteps);
}

TEST(SessionModels, FindsTheSizesThatTheUnetTakes) {
  auto engines = engines_of(forms()[0], "unet");
  EXPECT_EQ(SessionModels(engines, {}, cpu()).facts().required_multiple, 4);  // without a config
  models::BuildOptions options;
  options.any_size = true;
  engines["unet"] = engine_of("unet", "unet", forms()[0].target, options);
  EXPECT_EQ(SessionModels(engines, files_of("unet"), cpu()).facts().required_multiple, 2);
}

TEST(SessionModels, NamesWhatIsMissing) {
  auto engines = engines_of(forms()[0], "unet");
  engines.erase("vae_decoder");
  try {
    SessionModels models(engines, {}, cpu());
    FAIL() << "a model without a decoder passed";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("vae_decoder"));
  }
  engines = engines_of(forms()[0], "unet");
  engines["vae_decoder"] = engines["text_encoder"];
  EXPECT_THROW(SessionModels(engines, {}, cpu()), Error);
}

TEST(SessionModels, RefusesClipSkipWithoutStates) {
  auto engines = engines_of(forms()[0], "unet");
  engines["text_encoder"] = engine_of("text_encoder", "text_encoder", forms()[0].target, {});
  SessionModels models(engines, files_of("unet"), cpu());
  const Tensor ids = Tensor::from_ints({1, 77}, std::vector<std::int64_t>(77, 3));
  EXPECT_EQ(models.encode_text(ids, 0).shape(), (Shape{1, 77, 16}));
  try {
    models.encode_text(ids, 1);
    FAIL() << "clip skip passed";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("hidden_states"));
  }
}

}  // namespace
}  // namespace tenon::pipelines
