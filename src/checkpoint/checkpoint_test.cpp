#include "checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "checkpoint/test_files.h"

namespace tenon::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::recorded;
using testing::refusal;
using testing::safetensors;
using testing::shared_data;
using testing::TemporaryDirectory;

// One float32 tensor of two values.
std::string one_tensor(const std::string& name) {
  std::string header = R"({")" + name + R"(":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  header += std::string((8 - header.size() % 8) % 8, ' ');
  return safetensors(header, testing::bytes_of(1.5F) + testing::bytes_of(-2.0F));
}

TEST(Checkpoint, OpensADirectoryWithConfigAndWeights) {
  const TemporaryDirectory directory;
  directory.write("config.json", R"({"architectures":["LlamaForCausalLM"],"hidden_size":2})");
  directory.write("tokenizer.json", "{}");
  directory.write("model.safetensors", one_tensor("a.weight"));
  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  EXPECT_EQ(checkpoint.form(), "huggingface-safetensors");
  EXPECT_EQ(checkpoint.directory(), directory.path());
  EXPECT_EQ(checkpoint.architecture(), "LlamaForCausalLM");
  EXPECT_EQ(checkpoint.config().at("hidden_size"), 2);
  EXPECT_THAT(checkpoint.names(), ElementsAre("a.weight"));
  EXPECT_EQ(checkpoint.file_of("a.weight"), directory / "model.safetensors");
  const SourcePtr weight = checkpoint.weight("a.weight", {2});
  ASSERT_TRUE(weight->view());
  EXPECT_THAT(weight->view()->as<float>(), ElementsAre(1.5F, -2.0F));
  ASSERT_EQ(checkpoint.files().size(), 3U);
  EXPECT_EQ(checkpoint.files()[1].path, directory / "tokenizer.json");
  EXPECT_EQ(checkpoint.files()[1].bytes, 2U);
}

TEST(Checkpoint, NamesWhatIsWrongWithAWeight) {
  const TemporaryDirectory directory;
  const auto path = directory.write("some.safetensors", one_tensor("layers.0.q_proj.weight"));
  const Checkpoint checkpoint = Checkpoint::open(path);
  EXPECT_TRUE(checkpoint.config().empty());
  EXPECT_THAT(refusal([&] { checkpoint.architecture(); }), HasSubstr("names no architecture"));
  EXPECT_THAT(
      refusal([&] {
        checkpoint.weight("layers.0.q_proj.weight", {1, 2});
      }),
      AllOf(HasSubstr("some.safetensors"), HasSubstr("has shape [2]"), HasSubstr("[1, 2]")));
  EXPECT_THAT(refusal([&] { checkpoint.weight("layers.1.q_proj.weight"); }),
              AllOf(HasSubstr("no tensor 'layers.1.q_proj.weight'"),
                    HasSubstr("the nearest are layers.0.q_proj.weight")));
  EXPECT_THAT(refusal([&] { checkpoint.weight("zz"); }), HasSubstr("none of their 1 names"));
}

TEST(Checkpoint, SaysWhatADirectoryLacks) {
  const TemporaryDirectory directory;
  EXPECT_THAT(refusal([&] { Checkpoint::open(directory.path()); }), HasSubstr("holds no weights"));
  directory.write("model_index.json", "{}");
  EXPECT_THAT(refusal([&] { Checkpoint::open(directory.path()); }), HasSubstr("diffusers"));
  EXPECT_THAT(refusal([&] { Checkpoint::open(directory / "absent"); }),
              HasSubstr("cannot be opened"));
  directory.write("a.safetensors", one_tensor("a"));
  EXPECT_EQ(Checkpoint::open(directory.path()).names().size(), 1U);
  directory.write("b.safetensors", one_tensor("b"));
  EXPECT_THAT(refusal([&] { Checkpoint::open(directory.path()); }),
              HasSubstr("a.safetensors, b.safetensors"));
}

TEST(Checkpoint, RefusesAConfigThatIsNoObject) {
  const TemporaryDirectory directory;
  directory.write("model.safetensors", one_tensor("a"));
  directory.write("config.json", "[1]");
  EXPECT_THAT(refusal([&] { Checkpoint::open(directory.path()); }),
              HasSubstr("config.json: is a JSON array"));
}

// The file is cut short while it is mapped: the next weight is refused before it is read.
TEST(Checkpoint, NoticesAFileThatShrank) {
  const TemporaryDirectory directory;
  const auto path = directory.write("model.safetensors", one_tensor("a"));
  const Checkpoint checkpoint = Checkpoint::open(path);
  EXPECT_EQ(checkpoint.weight("a")->shape(), Shape{2});
  std::filesystem::resize_file(path, 20);
  EXPECT_THAT(refusal([&] { checkpoint.weight("a"); }),
              AllOf(HasSubstr("20 bytes now"), HasSubstr("start again")));
}

TEST(Shards, AreJoinedThroughTheIndex) {
  const TemporaryDirectory directory;
  directory.write("model-00001-of-00002.safetensors", one_tensor("a"));
  directory.write("model-00002-of-00002.safetensors", one_tensor("b"));
  directory.write("model.safetensors.index.json", R"({"metadata":{"total_size":16},"weight_map":{)"
                                                  R"("a":"model-00001-of-00002.safetensors",)"
                                                  R"("b":"model-00002-of-00002.safetensors"}})");
  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  EXPECT_THAT(checkpoint.names(), ElementsAre("a", "b"));
  EXPECT_EQ(checkpoint.file_of("b").filename(), "model-00002-of-00002.safetensors");
  EXPECT_EQ(checkpoint.files().size(), 3U);
}

TEST(Shards, RefusesNamesThatLeaveTheDirectory) {
  const TemporaryDirectory directory;
  directory.write("x.safetensors", one_tensor("a"));
  for (const char* shard :
       {"../../x.safetensors", "/etc/passwd", "..", ".", "", "a/b", "a\\\\b", "a\\u0000b"}) {
    directory.write("in/model.safetensors.index.json",
                    std::string(R"({"weight_map":{"a":")") + shard + "\"}}");
    EXPECT_THAT(refusal([&] { Checkpoint::open(directory / "in"); }),
                HasSubstr("not a plain file name"))
        << shard;
  }
}

TEST(Shards, RefusesAnIndexThatIsWrong) {
  const TemporaryDirectory directory;
  directory.write("one.safetensors", one_tensor("a"));
  directory.write("two.safetensors", one_tensor("a"));
  const auto refused = [&](const std::string& index) {
    directory.write("model.safetensors.index.json", index);
    return refusal([&] { Checkpoint::open(directory.path()); });
  };
  EXPECT_THAT(refused(R"({"weight_map":{"a":"one.safetensors","b":"one.safetensors"}})"),
              HasSubstr("places tensor 'b' in 'one.safetensors', which does not hold it"));
  EXPECT_THAT(refused(R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})"),
              HasSubstr("tensor 'a' stands in two files"));
  EXPECT_THAT(refused(R"({"weight_map":{"a":"three.safetensors"}})"),
              HasSubstr("'three.safetensors', which is not there"));
  EXPECT_THAT(refused(R"({"weight_map":{"a":3}})"), HasSubstr("a file name was expected"));
  EXPECT_THAT(refused(R"({"weight_map":{}})"), HasSubstr("names 0 shards"));
  EXPECT_THAT(refused(R"({"weight_map":[]})"), HasSubstr("no object \"weight_map\""));
  EXPECT_THAT(refused(R"({"weight_map":{"a":"one.safetensors","a":"two.safetensors"}})"),
              HasSubstr("twice"));
}

TEST(Links, MayLeadIntoTheBlobsOfTheCacheOnly) {
  namespace fs = std::filesystem;
  const TemporaryDirectory directory;
  const fs::path snapshot = directory / "models--x/snapshots/0123/unet";
  fs::create_directories(snapshot);
  directory.write("models--x/blobs/abcd", one_tensor("a"));
  fs::create_symlink("../../../blobs/abcd", snapshot / "model.safetensors");
  EXPECT_THAT(Checkpoint::open(snapshot).names(), ElementsAre("a"));

  directory.write("secret", one_tensor("a"));
  fs::remove(snapshot / "model.safetensors");
  fs::create_symlink(directory / "secret", snapshot / "model.safetensors");
  EXPECT_THAT(refusal([&] { Checkpoint::open(snapshot); }), HasSubstr("outside the checkpoint"));
  fs::remove(snapshot / "model.safetensors");
  fs::create_symlink("nowhere", snapshot / "model.safetensors");
  EXPECT_THAT(refusal([&] { Checkpoint::open(snapshot); }), HasSubstr("leads nowhere"));
}

TEST(Links, RefusesWhatIsNoRegularFile) {
  const TemporaryDirectory directory;
  ASSERT_EQ(::mkfifo((directory / "model.safetensors").c_str(), 0600), 0);
  EXPECT_THAT(refusal([&] { Checkpoint::open(directory.path()); }),
              HasSubstr("not a regular file"));
}

TEST(RealFiles, Stories260kOpens) {
  const auto path = shared_data("stories260k/hf");
  if (path.empty()) GTEST_SKIP() << "the shared test data is not here";
  const Checkpoint checkpoint = Checkpoint::open(path);
  EXPECT_EQ(checkpoint.architecture(), "LlamaForCausalLM");
  EXPECT_EQ(checkpoint.weight("model.embed_tokens.weight", {512, 64})->dtype(), DType::f32);
}

TEST(RealFiles, SingleSafetensorsWithoutConfigOpens) {
  const auto path = shared_data("mnist-cnn/mnist.safetensors");
  if (path.empty()) GTEST_SKIP() << "the shared test data is not here";
  EXPECT_EQ(Checkpoint::open(path).names().size(), 20U);
}

}  // namespace
}  // namespace tenon::checkpoint
