// What configurations are read as, and what is refused with which words.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "serving/repository/check_config.h"
#include "serving/repository/config_text.h"

namespace tenon::serving {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string refusal(const std::string& text) {
  try {
    check_supported(parse_config_text(text, "config.pbtxt"));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_LT(std::string(error.what()).size(), 1000U);
    return error.what();
  }
  return "accepted";
}

constexpr const char* kGood = R"(
name: "sums" platform: "onnxruntime_onnx" max_batch_size: 8
input [ { name: "A" data_type: TYPE_FP32 dims: [ -1, 4 ] } ]
output { name: "SUM" data_type: TYPE_FP32 dims: 4 }
version_policy { specific { versions: [ 1, 9223372036854775807 ] } }
dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100 }
instance_group [ { count: 2 kind: KIND_CPU } ]
parameters { key: "max_queue_size" value: { string_value: "7" } }
model_warmup { name: "w" batch_size: 1 inputs { key: "A" value: { data_type: TYPE_FP32 dims: [ 2, 4 ] zero_data: true } } }
)";

TEST(Config, ReadsWhatIsHonoured) {
  const auto config = parse_config_text(kGood, "config.pbtxt");
  check_supported(config);
  EXPECT_EQ(config.input(0).dims(0), -1);
  EXPECT_EQ(parameters_of(config).max_queue_size, 7);
  EXPECT_FALSE(parameters_of(config).cache_tokens.has_value());
  EXPECT_TRUE(asks_for_tensors(config));
  EXPECT_EQ(parse_config_text(config_text(config), "again").SerializeAsString().size(),
            config.SerializeAsString().size());
  EXPECT_EQ(refusal(""), "accepted");
}

TEST(Config, NamesLineAndColumn) {
  EXPECT_THAT(refusal("name: \"a\"\n  shape: 3"),
              AllOf(HasSubstr("config.pbtxt: line 2, column 8"), HasSubstr("shape")));
  EXPECT_THAT(refusal("name: \"a\"\nname: \"b\""), AllOf(HasSubstr("line 2"), HasSubstr("name")));
  EXPECT_THAT(refusal("max_batch_size: 2147483648"), HasSubstr("line 1, column 17"));
  EXPECT_THAT(refusal("input { data_type: TYPE_X }"), HasSubstr("line 1"));
  EXPECT_THAT(refusal("dynamic_batching {}\nsequence_batching {}"), HasSubstr("line 2"));
}

TEST(Config, RefusesEqualKeys) {
  const std::string one = R"(parameters { key: "precision" value { string_value: "fp32" } })";
  EXPECT_EQ(refusal(one), "accepted");
  EXPECT_THAT(refusal(one + "\n" + one), AllOf(HasSubstr("line 2"), HasSubstr("parameters")));
  EXPECT_THAT(
      refusal("model_warmup { name: \"w\" "
              "inputs { key: \"A\" value { data_type: TYPE_FP32 dims: 1 zero_data: true } }\n"
              "inputs { key: \"A\" value { data_type: TYPE_FP32 dims: 1 zero_data: true } } }"),
      HasSubstr("twice"));
}

TEST(Config, BoundsSizeAndNesting) {
  std::string deep;
  for (int i = 0; i < 10'000; ++i) deep += "input {";
  EXPECT_THAT(refusal(deep), HasSubstr("line 1"));
  // Unknown groups are no way around it.
  std::string unknown = "optimization { cuda { graph_spec { input { key: \"x\" value { ";
  for (int i = 0; i < 10'000; ++i) unknown += "dim {";
  EXPECT_THAT(refusal(unknown), HasSubstr("line 1"));
  EXPECT_THAT(refusal(std::string(std::size_t{100} << 20, ' ')), HasSubstr("104857600 bytes"));
  EXPECT_NE(refusal(std::string("\0\xff\xfe", 3)), "accepted");
}

TEST(Config, RefusesNumbersOutOfRange) {
  EXPECT_THAT(refusal("max_batch_size: -1"), HasSubstr("max_batch_size is -1"));
  EXPECT_THAT(refusal("max_batch_size: 2147483647"), HasSubstr("2147483647"));
  const auto dims = [](const std::string& list) {
    return refusal("input { name: \"A\" data_type: TYPE_FP32 dims: [" + list + "] }");
  };
  EXPECT_THAT(dims("0"), HasSubstr("dims [0]"));
  EXPECT_THAT(dims("-2"), HasSubstr("dims [-2]"));
  EXPECT_THAT(refusal("instance_group { count: 1000000 }"), HasSubstr("1000000 instances"));
  EXPECT_THAT(refusal("instance_group { count: -1 }"), HasSubstr("count is -1"));
  EXPECT_THAT(refusal("max_batch_size: 4 dynamic_batching { preferred_batch_size: 8 }"),
              HasSubstr("preferred_batch_size 8"));
  EXPECT_THAT(refusal("version_policy { specific { versions: -1 } }"), HasSubstr("version -1"));
  EXPECT_THAT(refusal("version_policy { latest { num_versions: 0 } }"), HasSubstr("num_versions"));
  EXPECT_THAT(refusal("default_model_filename: \"../x.onnx\""), HasSubstr("../x.onnx"));
  EXPECT_THAT(refusal("input { name: \"A\" data_type: TYPE_FP32 dims: 1 }\n"
                      "input { name: \"A\" data_type: TYPE_FP32 dims: 1 }"),
              HasSubstr("stands there already"));
}

TEST(Config, NamesWhatIsNotSupportedAndWhatToDo) {
  const std::pair<const char*, const char*> kCases[] = {
      {"platform: \"tensorrt_plan\"", "ONNX"},
      {"backend: \"python\"", "backend"},
      {"runtime: \"x\"", "runtime"},
      {"platform: \"ensemble\" ensemble_scheduling {}", "ensemble"},
      {"ensemble_scheduling { step { model_name: \"a\" } }", "ensemble_scheduling"},
      {"optimization { graph { level: 1 } }", "optimization"},
      {"cc_model_filenames { key: \"8.0\" value: \"x\" }", "cc_model_filenames"},
      {"metric_tags { key: \"a\" value: \"b\" }", "metric_tags"},
      {"response_cache { enable: true }", "response_cache"},
      {"model_operations { op_library_filename: \"x.so\" }", "model_operations"},
      {"model_repository_agents { agents { name: \"x\" } }", "model_repository_agents"},
      {"batch_input { kind: BATCH_ELEMENT_COUNT }", "batch_input"},
      {"instance_group { kind: KIND_GPU }", "KIND_GPU"},
      {"instance_group { gpus: 0 }", "instance_group[0].gpus"},
      {"instance_group { rate_limiter { priority: 1 } }", "instance_group[0].rate_limiter"},
      {"input { name: \"A\" data_type: TYPE_FP32 dims: 1 allow_ragged_batch: true }",
       "input[0].allow_ragged_batch"},
      {"input { name: \"A\" data_type: TYPE_FP32 dims: 1 reshape {} }", "input[0].reshape"},
      {"input { name: \"A\" data_type: TYPE_FP32 dims: 1 optional: true }", "input[0].optional"},
      {"input { name: \"A\" data_type: TYPE_FP32 dims: 1 format: FORMAT_NHWC }", "input[0].format"},
      {"output { name: \"A\" data_type: TYPE_FP32 dims: 1 label_filename: \"l\" }",
       "output[0].label_filename"},
      {"parameters { key: \"cache_token\" value { string_value: \"1\" } }", "cache_tokens"},
      {"parameters { key: \"precision\" value { string_value: \"fp8\" } }", "fp32, bf16 or int8"},
  };
  for (const auto& [text, words] : kCases) EXPECT_THAT(refusal(text), HasSubstr(words)) << text;
  EXPECT_EQ(refusal("response_cache { enable: false } optimization {}"), "accepted");
}

TEST(Config, ReadsJsonAsStrictly) {
  const auto config = parse_config_json(
      R"({"max_batch_size": 4, "versionPolicy": {"all": {}}, "input": [{"name": "A", "dims": ["-1"], "data_type": "TYPE_FP32"}]})",
      "config");
  EXPECT_EQ(config.max_batch_size(), 4);
  EXPECT_TRUE(config.version_policy().has_all());
  const auto deep = std::string(10'000, '[') + std::string(10'000, ']');
  for (const std::string& text :
       {std::string(R"({"shape": 1})"), std::string(R"({"name": "a", "name": "b"})"),
        std::string("[]"), std::string(""), deep, "{\"input\": " + deep + "}",
        std::string(R"({"max_batch_size": "x"})"), std::string(R"({"max_batch_size": 2147483648})"),
        std::string(R"({"input": [{"data_type": "TYPE_X"}]})")})
    EXPECT_THROW(parse_config_json(text, "config"), Error) << text.substr(0, 80);
}

}  // namespace
}  // namespace tenon::serving
