#include "checkpoint/meta.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/meta_params.h"
#include "checkpoint/test_files.h"

namespace tenon::checkpoint {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::recorded;
using testing::refusal;
using testing::TemporaryDirectory;

// One model, written in the Hugging Face form and in Meta's with 1, 2 and 4 shards.
TEST(Meta, EveryNumberOfShardsGivesTheWeightsOfTheHuggingFaceForm) {
  const Checkpoint expected = Checkpoint::open(recorded("llama_hf"));
  for (const char* name : {"llama_meta1", "llama_meta2", "llama_meta4", "llama3_meta2"}) {
    SCOPED_TRACE(name);
    const Checkpoint found = Checkpoint::open(recorded(name));
    EXPECT_EQ(found.form(), "meta");
    ASSERT_EQ(found.names(), expected.names());
    for (const std::string& weight : expected.names()) {
      const SourcePtr right = expected.weight(weight);
      const SourcePtr source = found.weight(weight, right->shape());
      ASSERT_EQ(source->dtype(), right->dtype()) << weight;
      const Tensor a = source->load();
      const Tensor b = right->load();
      EXPECT_EQ(std::memcmp(a.data(), b.data(), a.bytes()), 0) << weight;
    }
  }
}

TEST(Meta, TheConfigIsThatOfTheHuggingFaceForm) {
  const Json expected = Checkpoint::open(recorded("llama_hf")).config();
  for (const char* name : {"llama_meta1", "llama_meta4", "llama3_meta2"}) {
    const Checkpoint found = Checkpoint::open(recorded(name));
    EXPECT_EQ(found.architecture(), "LlamaForCausalLM");
    for (const auto& [key, value] : expected.items()) {
      EXPECT_EQ(found.config().at(key), value) << key;
    }
  }
}

TEST(Meta, ListsItsFiles) {
  const Checkpoint found = Checkpoint::open(recorded("llama_meta2"));
  ASSERT_EQ(found.files().size(), 3U);
  EXPECT_EQ(found.files()[0].path.filename(), "params.json");
  EXPECT_EQ(found.files()[2].path.filename(), "consolidated.01.pth");
  EXPECT_EQ(found.file_of("lm_head.weight").filename(), "consolidated.00.pth");
}

TEST(Meta, ListsTheTokenizerBesideTheFolder) {
  const TemporaryDirectory directory;
  std::filesystem::copy(recorded("llama_meta1"), directory / "7B");
  directory.write("tokenizer.model", "abc");
  const Checkpoint found = Checkpoint::open(directory / "7B");
  ASSERT_EQ(found.files().size(), 3U);
  EXPECT_EQ(found.files()[1].path.filename(), "tokenizer.model");
  EXPECT_EQ(found.files()[1].bytes, 3U);
}

// A copy of the two-shard model whose params.json has some fields replaced.
class ChangedMeta : public ::testing::Test {
 protected:
  ChangedMeta() {
    std::filesystem::copy(recorded("llama_meta2"), directory_.path(),
                          std::filesystem::copy_options::recursive);
  }
  std::string refused(const Json& changes) {
    Json params = read_json(recorded("llama_meta2/params.json"));
    params.update(changes);
    directory_.write("params.json", params.dump());
    return refusal([&] { Checkpoint::open(directory_.path()); });
  }
  TemporaryDirectory directory_;
};

TEST_F(ChangedMeta, RefusesParamsThatDoNotFitTheTensors) {
  EXPECT_EQ(refused(Json::object()), "");
  EXPECT_THAT(refused({{"multiple_of", 32}}),
              AllOf(HasSubstr("w1.weight"), HasSubstr("[48, 32]"), HasSubstr("asks for [64, 32]")));
  EXPECT_THAT(refused({{"n_layers", 2}}), HasSubstr("layers.1.attention.wq.weight is missing"));
  EXPECT_THAT(refused({{"n_kv_heads", 8}}), HasSubstr("asks for [32, 32]"));
  EXPECT_THAT(refused({{"vocab_size", 47}}), HasSubstr("asks for [47, 32]"));
  EXPECT_THAT(refused({{"dim", 64}}), HasSubstr("asks for"));
}

TEST_F(ChangedMeta, RefusesParamsThatMeanNothing) {
  EXPECT_THAT(refused({{"dim", 33}}), AllOf(HasSubstr("params.json"), HasSubstr("head size")));
  EXPECT_THAT(refused({{"dim", -1}}), HasSubstr("\"dim\" is -1"));
  EXPECT_THAT(refused({{"n_kv_heads", 3}}), HasSubstr("no multiple of n_kv_heads 3"));
  EXPECT_THAT(refused({{"n_heads", 0}}), HasSubstr("\"n_heads\" is 0"));
  EXPECT_THAT(refused({{"ffn_dim_multiplier", 1e300}}), HasSubstr("too wide"));
  EXPECT_THAT(refused({{"ffn_dim_multiplier", -1}}), HasSubstr("a positive number"));
  EXPECT_THAT(refused({{"norm_eps", "small"}}), HasSubstr("a number was expected"));
}

TEST_F(ChangedMeta, RefusesMissingShards) {
  std::filesystem::copy_file(directory_ / "consolidated.01.pth",
                             directory_ / "consolidated.03.pth");
  EXPECT_THAT(refusal([&] { Checkpoint::open(directory_.path()); }),
              HasSubstr("holds 3 consolidated.NN.pth files, of which 2"));
  std::filesystem::remove(directory_ / "consolidated.03.pth");
  std::filesystem::remove(directory_ / "consolidated.01.pth");
  EXPECT_THAT(refusal([&] { Checkpoint::open(directory_.path()); }), HasSubstr("over 1 shards"));
}

TEST_F(ChangedMeta, RefusesTensorsOfOtherModels) {
  std::filesystem::copy_file(recorded("torch/zip.pth"), directory_ / "consolidated.02.pth");
  EXPECT_THAT(refusal([&] { Checkpoint::open(directory_.path()); }), HasSubstr("shard 2 lacks"));
  for (const char* name : {"consolidated.01.pth", "consolidated.02.pth"}) {
    std::filesystem::remove(directory_ / name);
  }
  std::filesystem::copy_file(recorded("torch/zip.pth"), directory_ / "consolidated.00.pth",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(refusal([&] { Checkpoint::open(directory_.path()); }),
              HasSubstr("lacks tensor 'tok_embeddings.weight'"));
}

// The published sizes: the feed-forward width of each follows from its params.json.
TEST(MetaParams, GiveTheWidthsOfThePublishedModels) {
  const auto hidden = [](std::int64_t dim, std::int64_t heads, std::int64_t multiple, Json factor) {
    return parse_meta_params({{"dim", dim},
                              {"n_heads", heads},
                              {"n_layers", 1},
                              {"multiple_of", multiple},
                              {"ffn_dim_multiplier", factor}})
        .hidden;
  };
  EXPECT_EQ(hidden(4096, 32, 256, nullptr), 11008);  // 7B
  EXPECT_EQ(hidden(5120, 40, 256, nullptr), 13824);  // 13B
  EXPECT_EQ(hidden(8192, 64, 4096, 1.3), 28672);     // Llama 2 70B
  EXPECT_EQ(hidden(4096, 32, 1024, 1.3), 14336);     // Llama 3 8B
  EXPECT_EQ(hidden(2048, 32, 256, 1.5), 8192);       // Llama 3.2 1B
}

TEST(MetaParams, ChooseWhatTheFileDoesNotSay) {
  const auto parsed = [](Json more) {
    Json params = {{"dim", 64}, {"n_heads", 4}, {"n_layers", 1}, {"vocab_size", -1}};
    params.update(more);
    return parse_meta_params(params);
  };
  EXPECT_EQ(parsed({{"norm_eps", 1e-6}}).max_positions, 2048);
  EXPECT_EQ(parsed({{"norm_eps", 1e-5}}).max_positions, 4096);
  EXPECT_EQ(parsed({{"rope_theta", 1000000.0}}).max_positions, 16384);
  EXPECT_EQ(parsed({{"rope_theta", 500000.0}}).max_positions, 8192);
  EXPECT_EQ(parsed({{"rope_theta", 500000.0}, {"max_seq_len", 77}}).max_positions, 77);
  MetaParams scaled = parsed({{"rope_theta", 500000.0}, {"use_scaled_rope", true}});
  EXPECT_EQ(scaled.max_positions, 131072);
  scaled.vocabulary = 128256;
  const Json config = meta_config(scaled, DType::bf16, true);
  EXPECT_EQ(config.at("rope_scaling").at("factor"), 8.0);
  EXPECT_EQ(config.at("bos_token_id"), 128000);
  EXPECT_EQ(config.at("tie_word_embeddings"), true);
  EXPECT_EQ(parsed(Json::object()).kv_heads, 4);
  EXPECT_EQ(parsed(Json::object()).vocabulary, 0);
}

}  // namespace
}  // namespace tenon::checkpoint
