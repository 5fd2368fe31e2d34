#include "serving/sampling_fields.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tenon::serving {
namespace {

TEST(SamplingFields, TakesWhatIsGivenAndLeavesTheRest) {
  pipelines::GenerationConfig config;
  config.top_p = 0.5;
  apply_sampling(config, Json::parse(R"({"max_tokens": 7, "temperature": 0, "seed": -1, "n": 3,
      "stop": "end", "logit_bias": {"5": -100}, "top_k": -1, "presence_penalty": null})"));
  EXPECT_EQ(config.max_new_tokens, 7);
  EXPECT_FALSE(config.samples());
  EXPECT_EQ(config.seed, ~std::uint64_t{0});
  EXPECT_EQ(config.num_return_sequences, 3);
  EXPECT_EQ(config.stop_strings, std::vector<std::string>{"end"});
  EXPECT_EQ(config.logit_bias.at(5), -100);
  EXPECT_EQ(config.top_k, 0);
  EXPECT_EQ(config.top_p, 0.5);
  EXPECT_EQ(config.presence_penalty, 0);
}

TEST(SamplingFields, NamesTheFieldThatIsOutOfRange) {
  for (const char* text :
       {R"({"max_tokens": 0})", R"({"temperature": -1})", R"({"top_p": 1.5})", R"({"n": 17})",
        R"({"seed": 9223372036854775808})", R"({"stop": [""]})", R"({"logit_bias": {"x": 1}})",
        R"({"logit_bias": {"1": 101}})", R"({"logit_bias": []})", R"({"stop_token_ids": [-1]})",
        R"({"presence_penalty": "much"})"}) {
    pipelines::GenerationConfig config;
    const Json fields = Json::parse(text);
    try {
      apply_sampling(config, fields);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(fields.begin().key()), std::string::npos) << text;
    }
  }
}

}  // namespace
}  // namespace tenon::serving
