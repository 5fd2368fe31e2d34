// Whole tiny picture models, as diffusers saves them and in the one-file form of the first
// releases: every network against the recorded outputs, and what is refused.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "models/components.h"
#include "picture_models.h"

namespace tenon::tests {
namespace {

namespace fs = std::filesystem;

using checkpoint::DiffusionCheckpoint;
using checkpoint::DiffusionOptions;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A copy of the recorded pipeline that a test may damage.
class Copy {
 public:
  Copy() {
    static int count = 0;
    path_ = fs::temp_directory_path() / fmt::format("tenon_pipeline_{}_{}", ::getpid(), count++);
    fs::copy(picture_folder("pipeline"), path_, fs::copy_options::recursive);
  }
  ~Copy() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;

  const fs::path& path() const { return path_; }
  void edit(const fs::path& file, const char* key, const Json& value) const {
    Json json = read_json(path_ / file);
    json[key] = value;
    std::ofstream(path_ / file) << json.dump();
  }
  std::string refusal(const DiffusionOptions& options = {}) const {
    try {
      models::build_components(DiffusionCheckpoint::open(path_, options));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
      return error.what();
    }
    return "";
  }

 private:
  fs::path path_;
};

void expect_recorded(const DiffusionCheckpoint& checkpoint, const std::string& folder) {
  const Recording recording = read_npz(picture_folder(folder) / "expected.npz");
  for (auto& [name, graph] : models::build_components(checkpoint)) {
    const std::string prefix = name + ".";
    for (const auto& [output, tensor] : run_reference(std::move(graph), recording, prefix)) {
      if (output == "pooler_output") continue;
      EXPECT_LE(relative_l2(tensor.view(), recording.at(prefix + output).view()), kPictureTolerance)
          << prefix << output;
    }
  }
}

std::vector<std::string> names_of(const DiffusionCheckpoint& checkpoint) {
  std::vector<std::string> names;
  for (const auto& component : models::build_components(checkpoint))
    names.push_back(component.name);
  return names;
}

TEST(Pipeline, GivesTheRecordedAnswersFromADirectory) {
  ASSERT_TRUE(DiffusionCheckpoint::recognizes(picture_folder("pipeline")));
  const auto checkpoint = DiffusionCheckpoint::open(picture_folder("pipeline"));
  EXPECT_EQ(checkpoint.form(), "diffusers");
  EXPECT_THAT(names_of(checkpoint),
              ElementsAre("text_encoder", "unet", "vae_encoder", "vae_decoder", "tiny_decoder"));
  EXPECT_THAT(checkpoint.notes(), ::testing::IsEmpty());
  EXPECT_EQ(checkpoint.scheduler_config().at("_class_name"), "PNDMScheduler");
  for (const char* name :
       {"model_index.json", "scheduler/scheduler_config.json", "tokenizer/vocab.json",
        "tokenizer/merges.txt", "unet/config.json", "vae/config.json", "text_encoder/config.json"})
    EXPECT_TRUE(checkpoint.side_files().contains(name)) << name;
  expect_recorded(checkpoint, "pipeline");
}

TEST(Pipeline, GivesTheRecordedAnswersFromOneFileOfTheFirstGeneration) {
  const fs::path path = picture_folder("latent-1") / "model.safetensors";
  ASSERT_TRUE(DiffusionCheckpoint::recognizes(path));
  const auto checkpoint = DiffusionCheckpoint::open(path);
  EXPECT_EQ(checkpoint.form(), "latent-diffusion");
  EXPECT_EQ(checkpoint.scheduler_config().at("prediction_type"), "epsilon");
  EXPECT_EQ(checkpoint.part("unet").config().at("attention_head_dim"), 8);
  EXPECT_EQ(checkpoint.part("text_encoder").config().at("hidden_act"), "quick_gelu");
  EXPECT_THAT(checkpoint.notes(),
              ElementsAre(HasSubstr("1 running averages"),
                          AllOf(HasSubstr("1 tensors"), HasSubstr("'alphas_cumprod'")),
                          HasSubstr("no tokenizer")));
  expect_recorded(checkpoint, "latent-1");
}

TEST(Pipeline, GivesTheRecordedAnswersFromOneFileOfTheSecondGeneration) {
  const fs::path path = picture_folder("latent-2") / "model.ckpt";
  ASSERT_TRUE(DiffusionCheckpoint::recognizes(path));
  const auto checkpoint = DiffusionCheckpoint::open(path);
  EXPECT_THAT(names_of(checkpoint), ElementsAre("text_encoder", "unet"));
  EXPECT_EQ(checkpoint.scheduler_config().at("prediction_type"), "v_prediction");
  EXPECT_EQ(checkpoint.part("unet").config().at("attention_head_dim"), 2);
  EXPECT_EQ(checkpoint.part("unet").config().at("use_linear_projection"), true);
  EXPECT_EQ(checkpoint.part("text_encoder").config().at("num_hidden_layers"), 2);
  expect_recorded(checkpoint, "latent-2");
}

TEST(Pipeline, TakesThePredictionTypeOfTheOptions) {
  DiffusionOptions options;
  options.prediction_type = "sample";
  for (const fs::path& path :
       {picture_folder("pipeline"), picture_folder("latent-2") / "model.ckpt"}) {
    const auto checkpoint = DiffusionCheckpoint::open(path, options);
    EXPECT_EQ(checkpoint.scheduler_config().at("prediction_type"), "sample");
    EXPECT_THAT(checkpoint.side_files().at("scheduler/scheduler_config.json"),
                HasSubstr("\"sample\""));
  }
  options.prediction_type = "noise";
  EXPECT_THROW(DiffusionCheckpoint::open(picture_folder("pipeline"), options), Error);
}

TEST(Pipeline, TakesTheVariantThatIsAskedForOrTheOnlyOne) {
  const Copy copy;
  const fs::path plain = copy.path() / "unet/diffusion_pytorch_model.safetensors";
  const fs::path half = copy.path() / "unet/diffusion_pytorch_model.fp16.safetensors";
  fs::copy(plain, half);
  const auto file = [&](const char* variant) {
    DiffusionOptions options;
    options.variant = variant;
    return DiffusionCheckpoint::open(copy.path(), options).part("unet").file_of("conv_in.bias");
  };
  EXPECT_EQ(file(""), plain);
  EXPECT_EQ(file("fp16"), half);
  fs::remove(plain);
  EXPECT_EQ(file(""), half);
  const fs::path other = copy.path() / "unet/diffusion_pytorch_model.non_ema.safetensors";
  fs::copy(half, other);
  EXPECT_THAT(copy.refusal(), HasSubstr("several variants (fp16, non_ema)"));
  EXPECT_EQ(file("non_ema"), other);
}

TEST(Pipeline, ReadsShardsOfAVariant) {
  const Copy copy;
  const fs::path unet = copy.path() / "unet";
  fs::rename(unet / "diffusion_pytorch_model.safetensors", unet / "a-00001-of-00001.safetensors");
  Json map = Json::object();
  const auto weights = checkpoint::Checkpoint::open(unet / "a-00001-of-00001.safetensors");
  for (const std::string& name : weights.names()) map[name] = "a-00001-of-00001.safetensors";
  std::ofstream(unet / "diffusion_pytorch_model.safetensors.index.fp16.json")
      << Json{{"weight_map", map}}.dump();
  expect_recorded(DiffusionCheckpoint::open(copy.path()), "pipeline");
}

TEST(Pipeline, PassesOverTheSafetyCheckerAndRefusesOtherNetworks) {
  const Copy copy;
  copy.edit("model_index.json", "safety_checker",
            {"stable_diffusion", "StableDiffusionSafetyChecker"});
  EXPECT_THAT(DiffusionCheckpoint::open(copy.path()).notes(),
              ElementsAre(HasSubstr("safety_checker is passed over")));
  copy.edit("model_index.json", "text_encoder_2", {"transformers", "CLIPTextModelWithProjection"});
  EXPECT_THAT(copy.refusal(),
              AllOf(HasSubstr("'text_encoder_2'"), HasSubstr("CLIPTextModelWithProjection")));
}

TEST(Pipeline, NamesPartsThatDoNotBelongTogether) {
  {
    const Copy copy;
    copy.edit("text_encoder/config.json", "hidden_size", 16);
    EXPECT_THAT(copy.refusal(), AllOf(HasSubstr("width 12"), HasSubstr("text_encoder gives 16")));
  }
  {
    const Copy copy;
    copy.edit("unet/config.json", "in_channels", 7);
    EXPECT_THAT(copy.refusal(), AllOf(HasSubstr("unet takes 7"), HasSubstr("4, 5, 8 or 9")));
  }
  {
    const Copy copy;
    copy.edit("tiny_vae/config.json", "latent_channels", 16);
    EXPECT_THAT(copy.refusal(), HasSubstr("tiny_vae has 16"));
  }
  {
    const Copy copy;
    copy.edit("vae/config.json", "_class_name", "VQModel");
    EXPECT_THAT(copy.refusal(), AllOf(HasSubstr("vae: "), HasSubstr("'VQModel'")));
  }
  {
    const Copy copy;
    fs::remove_all(copy.path() / "unet");
    EXPECT_THAT(copy.refusal(), AllOf(HasSubstr("unet: "), HasSubstr("folder is missing")));
  }
}

TEST(Pipeline, NamesTheComponentTheTensorAndBothShapes) {
  const Copy copy;
  copy.edit("unet/config.json", "block_out_channels", {4, 16});
  EXPECT_THAT(copy.refusal(),
              AllOf(HasSubstr("unet: "), HasSubstr("'down_blocks.1.resnets.0.conv1.weight'"),
                    HasSubstr("has shape [8, 4, 3, 3]"), HasSubstr("asks for [16, 4, 3, 3]")));
}

struct Refused {
  const char* field;
  Json value;
  const char* message;
};

TEST(Pipeline, NamesAFieldThatIsNotSupported) {
  const std::vector<Refused> unets = {
      {"addition_embed_type", "text_time", "field \"addition_embed_type\" is \"text_time\""},
      {"attention_type", "gated", "supported: default"},
      {"down_block_types", {"DownBlock2D", "SimpleCrossAttnDownBlock2D"}, "CrossAttnDownBlock2D"},
      {"mid_block_type", "UNetMidBlock2DSimpleCrossAttn", "UNetMidBlock2DCrossAttn"},
      {"act_fn", "tanh", "field \"act_fn\" is \"tanh\""},
      {"norm_num_groups", 3, "do not divide into norm_num_groups 3"},
      {"norm_num_groups", nullptr, "a number of groups is needed"},
      {"encoder_hid_dim_type", "image_proj", "text_proj"},
      {"attention_head_dim", {1, 2, 3}, "has 3 elements, 2 were expected"},
      {"attention_head_dim", 0, "\"attention_head_dim\" is 0"},
      {"attention_head_dim", 5, "5 attention heads"},
      {"layers_per_block", 1000000, "expected 1 to 256"},
      {"block_out_channels", 320, "a list of 1 to 64 elements was expected"},
      {"cross_attention_dim", {12, 13}, "the same width for all blocks"},
      {"time_embedding_type", "learned", "positional, fourier"},
      {"freq_shift", 2, "no frequencies"}};
  for (const auto& [field, value, message] : unets) {
    const Copy copy;
    copy.edit("unet/config.json", field, value);
    EXPECT_THAT(copy.refusal(), HasSubstr(message)) << field << " " << value;
  }
  const std::vector<Refused> vaes = {
      {"down_block_types", {"DownEncoderBlock2D", "SkipDownBlock2D"}, "\"SkipDownBlock2D\""},
      {"up_block_types", {"UpDecoderBlock2D"}, "has 1 elements"},
      {"latent_channels", 0, "\"latent_channels\" is 0"}};
  for (const auto& [field, value, message] : vaes) {
    const Copy copy;
    copy.edit("vae/config.json", field, value);
    EXPECT_THAT(copy.refusal(), HasSubstr(message)) << field << " " << value;
  }
  const Copy huge;
  huge.edit("unet/config.json", "layers_per_block", 64);
  huge.edit("unet/config.json", "transformer_layers_per_block", 256);
  EXPECT_THAT(huge.refusal(), HasSubstr("at most 10000 are built"));
  const Copy copy;
  copy.edit("tiny_vae/config.json", "upsample_fn", "bicubic");
  EXPECT_THAT(copy.refusal(), AllOf(HasSubstr("tiny_decoder: "), HasSubstr("\"bicubic\"")));
}

}  // namespace
}  // namespace tenon::tests
