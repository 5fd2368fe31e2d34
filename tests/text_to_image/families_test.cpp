// The other family of ONNX graphs (ids of 32 bits, a timestep an image, an encoder that draws
// itself, sizes that were fixed), as small graphs whose results can be computed by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backend/cpu/cpu_backend.h"
#include "base/error.h"
#include "graph/text.h"
#include "pipelines/text_to_image/session_models.h"
#include "planner/planner.h"

namespace tenon::pipelines {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kTextEncoder = R"(input "tokens" int32[b, 4]
constant "axes" int64[1] = 2
node "cast" = Cast("tokens") to=1 -> "floats"
node "wide" = Unsqueeze("floats", "axes") -> "states"
output "states"
)";
constexpr const char* kUnet = R"(input "sample" fp32[1, 4, h, w]
input "timestep" fp32[1]
input "encoder_hidden_states" fp32[1, 4, 1]
node "product" = Mul("sample", "timestep") -> "timed"
node "mean" = ReduceMean("encoder_hidden_states") keepdims=0 -> "told"
node "sum" = Add("timed", "told") -> "out_sample"
output "out_sample"
)";
constexpr const char* kDecoder = R"(input "latent_sample" fp32[b, 4, h, w]
constant "begin" int64[1] = 0
constant "end" int64[1] = 3
constant "axis" int64[1] = 1
constant "scales" fp32[4] = 1 1 2 2
node "slice" = Slice("latent_sample", "begin", "end", "axis") -> "rgb"
node "resize" = Resize("rgb", -, "scales") mode="nearest" coordinate_transformation_mode="asymmetric" nearest_mode="floor" -> "sample"
output "sample"
)";
constexpr const char* kEncoder = R"(input "sample" fp32[b, 3, h, w]
constant "begin" int64[1] = 0
constant "end" int64[1] = 1
constant "axis" int64[1] = 1
node "pool" = AveragePool("sample") kernel_shape=[2, 2] strides=[2, 2] -> "small"
node "slice" = Slice("small", "begin", "end", "axis") -> "red"
node "join" = Concat("small", "red") axis=1 -> "latent_sample"
output "latent_sample"
)";

backend::CpuBackend& cpu() {
  static backend::CpuBackend backend(1);
  return backend;
}

std::shared_ptr<const engine::Engine> engine_of(const char* text) {
  graph::Graph graph = graph::from_text(text);
  planner::CompileOptions options;
  options.target = Target::reference_run();
  return planner::compile(graph, options);
}

PictureEngines engines() {
  return {{"text_encoder", engine_of(kTextEncoder)},
          {"unet", engine_of(kUnet)},
          {"vae_decoder", engine_of(kDecoder)},
          {"vae_encoder", engine_of(kEncoder)},
          {"tiny_decoder", engine_of(kDecoder)}};
}

TEST(ScriptFamily, IsRecognised) {
  SessionModels models(engines(), {}, cpu());
  const auto& facts = models.facts();
  EXPECT_EQ(facts.text_length, 4);
  EXPECT_EQ(facts.fixed_text_tokens, 4);
  EXPECT_EQ(facts.text_width, 1);
  EXPECT_EQ(facts.fixed_batch, 1);
  EXPECT_EQ(facts.fixed_height, 0);
  EXPECT_EQ(facts.spatial_factor, 2);
  EXPECT_EQ(facts.required_multiple, 2);
  EXPECT_FALSE(facts.integer_timesteps);
  EXPECT_FALSE(facts.scaling_factor.has_value());
  EXPECT_TRUE(facts.has_tiny_decoder);
}

TEST(ScriptFamily, Runs) {
  SessionModels models(engines(), {}, cpu());
  const Tensor ids = Tensor::from_ints({1, 4}, std::vector<std::int64_t>{1, 2, 3, 6});
  EXPECT_THAT(models.encode_text(ids, 0).as<float>(), ElementsAre(1, 2, 3, 6));

  // Two images through an engine for one: each has its own text.
  const Tensor sample =
      Tensor::from_floats({2, 4, 1, 1}, std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8});
  const Tensor states = Tensor::from_floats({2, 4, 1}, std::vector<float>{0, 0, 0, 0, 4, 4, 4, 4});
  const Tensor noise = models.predict_noise(sample, 0.5, states, nullptr);
  EXPECT_EQ(noise.shape(), (Shape{2, 4, 1, 1}));
  EXPECT_THAT(noise.as<float>(), ElementsAre(0.5, 1, 1.5, 2, 6.5, 7, 7.5, 8));

  const Tensor picture = models.decode(sample);
  EXPECT_EQ(picture.shape(), (Shape{2, 3, 2, 2}));
  EXPECT_EQ(models.decode_preview(sample).shape(), picture.shape());
  const LatentParameters latents = models.encode(picture);
  EXPECT_FALSE(latents.logvar.has_value());
  EXPECT_THAT(latents.mean.as<float>(), ElementsAre(1, 2, 3, 1, 5, 6, 7, 5));
}

TEST(ScriptFamily, NamesInputsThatNobodyGives) {
  auto all = engines();
  std::string more = std::string("input \"class_labels\" fp32[1]\n") + kUnet;
  more.replace(more.find("Add(\"timed\", \"told\") -> \"out_sample\""),
               std::string("Add(\"timed\", \"told\") -> \"out_sample\"").size(),
               "Add(\"timed\", \"told\") -> \"both\"\nnode \"last\" = Add(\"both\", "
               "\"class_labels\") -> \"out_sample\"");
  all["unet"] = engine_of(more.c_str());
  try {
    SessionModels models(all, {}, cpu());
    FAIL() << "class_labels passed";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("class_labels"));
  }
}

TEST(ScriptFamily, RefusesHostileConfigs) {
  for (const char* config : {"[]", "{", R"({"sample_size": -1})", R"({"sample_size": "x"})",
                             R"({"sample_size": [99999999999]})"}) {
    EXPECT_THROW(SessionModels(engines(), {{"unet/config.json", config}}, cpu()), Error) << config;
  }
  for (const char* config :
       {R"({"scaling_factor": 0})", R"({"scaling_factor": "x"})", R"({"sample_size": {}})"}) {
    EXPECT_THROW(SessionModels(engines(), {{"vae/config.json", config}}, cpu()), Error) << config;
  }
}

}  // namespace
}  // namespace tenon::pipelines
