#include "checkpoint/scan.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/half.h"
#include "checkpoint/test_files.h"
#include "checkpoint/value_counts.h"

namespace tenon::checkpoint {
namespace {

using testing::bytes_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::recorded;
using testing::safetensors;
using testing::shared_data;
using testing::TemporaryDirectory;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

template <typename T>
ValueCounts counted(DType dtype, std::initializer_list<double> values) {
  std::vector<T> converted_values;
  for (const double value : values) {
    if constexpr (std::is_arithmetic_v<T>) {
      converted_values.push_back(static_cast<T>(value));
    } else {
      converted_values.push_back(T(static_cast<float>(value)));
    }
  }
  return count_values(dtype, std::as_bytes(std::span(converted_values)).data(),
                      static_cast<std::int64_t>(converted_values.size()));
}

void expect_counts(const ValueCounts& counts, std::int64_t nan, std::int64_t inf,
                   std::int64_t beyond, double max_abs) {
  EXPECT_EQ(counts.nan, nan);
  EXPECT_EQ(counts.inf, inf);
  EXPECT_EQ(counts.beyond_float16, beyond);
  EXPECT_EQ(counts.max_abs, max_abs);
}

TEST(ValueCounts, SortValuesOfEveryType) {
  expect_counts(counted<float>(DType::f32, {1, -70000, kNan, kInf, -kInf, 65519, 65520}), 1, 2, 2,
                70000);
  expect_counts(counted<double>(DType::f64, {1, -1e300, kNan, kInf, 65519.9}), 1, 1, 1, 1e300);
  expect_counts(counted<Float16>(DType::f16, {1, -65504, kNan, kInf}), 1, 1, 0, 65504);
  expect_counts(counted<BFloat16>(DType::bf16, {1, -65536, kNan, kInf, 65280}), 1, 1, 1, 65536);
  expect_counts(counted<std::int8_t>(DType::i8, {1, -128}), 0, 0, 0, 128);
  expect_counts(counted<std::int64_t>(DType::i64, {-5, 3}), 0, 0, 0, 5);
  expect_counts(counted<std::uint8_t>(DType::boolean, {0, 1}), 0, 0, 0, 1);
  expect_counts(counted<float>(DType::f32, {}), 0, 0, 0, 0);
}

// More than one block of the counter and more than one grain of the pool; every third value NaN.
TEST(ValueCounts, AreExactOverManyBlocks) {
  std::vector<std::uint16_t> values(200'000, 0x3f80);
  for (std::size_t i = 0; i < values.size(); i += 3) values[i] = 0xffc0;
  const auto counts = count_values(DType::bf16, std::as_bytes(std::span(values)).data(), 200'000);
  expect_counts(counts, 66'667, 0, 0, 1.0);
  std::fill(values.begin(), values.end(), std::uint16_t{0x7f80});
  expect_counts(count_values(DType::bf16, std::as_bytes(std::span(values)).data(), 200'000), 0,
                200'000, 0, 0);
}

TEST(Scan, ComparesNamesAndShapesWithTheExpected) {
  const TemporaryDirectory directory;
  std::string header =
      R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},)"
      R"("b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]},)"
      R"("gpt_neox.layers.0.attention.bias":{"dtype":"BOOL","shape":[1],"data_offsets":[16,17]},)"
      R"("odd":{"dtype":"F32","shape":[1],"data_offsets":[17,21]}})";
  const auto path = directory.write(
      "x.safetensors", safetensors(header, bytes_of(1.0F) + bytes_of(kNan) + bytes_of(-1e6F) +
                                               bytes_of(2.0F) + "\x01" + bytes_of(-kInf)));
  const Checkpoint checkpoint = Checkpoint::open(path);
  ThreadPool pool(2);
  std::uint64_t bytes = 0;
  const ScanReport report = scan(checkpoint, {{"a", {3}}, {"b", {2}}, {"c", {1}}}, pool,
                                 [&](std::uint64_t more) { bytes += more; });
  EXPECT_EQ(bytes, 21U);
  ASSERT_EQ(report.tensors.size(), 4U);
  EXPECT_EQ(report.tensors[0].name, "a");
  EXPECT_EQ(report.tensors[0].nan, 1);
  EXPECT_EQ(report.tensors[0].beyond_float16, 1);
  EXPECT_EQ(report.tensors[0].max_abs, 1e6);
  EXPECT_EQ(report.tensors[3].inf, 1);
  EXPECT_THAT(report.missing, ElementsAre("c"));
  EXPECT_THAT(report.surplus, ElementsAre("odd"));
  EXPECT_THAT(report.known_surplus, ElementsAre("gpt_neox.layers.0.attention.bias"));
  ASSERT_EQ(report.misshaped.size(), 1U);
  EXPECT_EQ(report.misshaped[0].expected, Shape{2});
  EXPECT_FALSE(report.clean());
  EXPECT_THAT(scan(checkpoint, {}, pool).surplus, IsEmpty());
}

TEST(Scan, GoesThroughEveryForm) {
  ThreadPool pool(2);
  for (const char* name : {"llama_hf", "llama_meta4", "torch/zip.pth", "torch/legacy.pth"}) {
    const Checkpoint checkpoint = Checkpoint::open(recorded(name));
    std::map<std::string, Shape> expected;
    for (const std::string& weight : checkpoint.names()) {
      expected[weight] = checkpoint.weight(weight)->shape();
    }
    EXPECT_TRUE(scan(checkpoint, expected, pool).clean()) << name;
  }
}

// One bit of a storage flipped: the sum that the archive keeps tells.
TEST(Scan, FindsADamagedStorage) {
  std::string bytes = read_file(recorded("torch_shards/pytorch_model-00002-of-00002.bin"));
  const std::size_t place = bytes.find(bytes_of(1.0F) + bytes_of(1.0F));
  ASSERT_NE(place, std::string::npos);
  bytes[place] = static_cast<char>(bytes[place] ^ 1);
  const TemporaryDirectory directory;
  const Checkpoint checkpoint = Checkpoint::open(directory.write("x.bin", bytes));
  ThreadPool pool(1);
  const ScanReport report = scan(checkpoint, {}, pool);
  ASSERT_EQ(report.damaged.size(), 1U);
  EXPECT_THAT(report.damaged[0], HasSubstr("b.weight"));
  EXPECT_FALSE(report.clean());
}

TEST(Scan, KnowsTheBuffersOfOldReleases) {
  EXPECT_TRUE(is_known_surplus("gpt_neox.layers.3.attention.masked_bias"));
  EXPECT_TRUE(is_known_surplus("gpt_neox.layers.3.attention.rotary_emb.inv_freq"));
  EXPECT_TRUE(is_known_surplus("text_model.embeddings.position_ids"));
  EXPECT_FALSE(is_known_surplus("gpt_neox.layers.3.attention.dense.bias"));
  EXPECT_FALSE(is_known_surplus("lm_head.weight"));
}

// Kilobytes of mapped files that are resident.
std::int64_t resident_file_kilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssFile:")) return std::stoll(line.substr(8));
  }
  return -1;
}

TEST(Scan, DropsThePagesBehindIt) {
  constexpr std::int64_t kBytes = std::int64_t{256} << 20;
  const TemporaryDirectory directory;
  std::string header = R"({"a":{"dtype":"F32","shape":[1024,65536],"data_offsets":[0,)" +
                       std::to_string(kBytes) + "]}}";
  header += std::string((8 - header.size() % 8) % 8, ' ');
  const auto path = directory.write("x.safetensors", safetensors(header, ""));
  std::filesystem::resize_file(path, 8 + header.size() + kBytes);  // sparse: zeros, no blocks
  const Checkpoint checkpoint = Checkpoint::open(path);
  ThreadPool pool(2);
  const std::int64_t before = resident_file_kilobytes();
  ASSERT_GT(before, 0);
  std::int64_t most = before;
  const ScanReport report = scan(checkpoint, {}, pool, [&](std::uint64_t) {
    most = std::max(most, resident_file_kilobytes());
  });
  EXPECT_TRUE(report.clean());
  // One block of 16 MiB, and pages that the system maps around a fault.
  EXPECT_LT(most - before, 40 * 1024);
}

TEST(Scan, Stories260kIsClean) {
  const auto path = shared_data("stories260k/hf");
  if (path.empty()) GTEST_SKIP() << "the shared test data is not here";
  std::map<std::string, Shape> expected = {{"model.embed_tokens.weight", {512, 64}},
                                           {"model.norm.weight", {64}}};
  for (int layer = 0; layer < 5; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    expected[prefix + "self_attn.q_proj.weight"] = {64, 64};
    expected[prefix + "self_attn.k_proj.weight"] = {32, 64};
    expected[prefix + "self_attn.v_proj.weight"] = {32, 64};
    expected[prefix + "self_attn.o_proj.weight"] = {64, 64};
    expected[prefix + "mlp.gate_proj.weight"] = {172, 64};
    expected[prefix + "mlp.up_proj.weight"] = {172, 64};
    expected[prefix + "mlp.down_proj.weight"] = {64, 172};
    expected[prefix + "input_layernorm.weight"] = {64};
    expected[prefix + "post_attention_layernorm.weight"] = {64};
  }
  ThreadPool pool(2);
  const ScanReport report = scan(Checkpoint::open(path), expected, pool);
  EXPECT_TRUE(report.clean());
  EXPECT_THAT(report.missing, IsEmpty());
  EXPECT_THAT(report.surplus, IsEmpty());
  EXPECT_THAT(report.misshaped, IsEmpty());
}

TEST(Scan, Taef2DecoderIsClean) {
  const auto path = shared_data("taef2/taef2_decoder.pth");
  if (path.empty()) GTEST_SKIP() << "the shared test data is not here";
  ThreadPool pool(2);
  EXPECT_TRUE(scan(Checkpoint::open(path), {}, pool).clean());
}

}  // namespace
}  // namespace tenon::checkpoint
