#include "bundle/bundle.h"

#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/mapped_file.h"
#include "bundle/header.h"

namespace tenon::bundle {
namespace {

class BundleFile : public testing::Test {
 protected:
  BundleFile()
      : path_(std::filesystem::temp_directory_path() /
              fmt::format("tenon-bundle-{}.tenon", ::getpid())) {}
  ~BundleFile() override { std::filesystem::remove(path_); }

  // One weight, one step with every kind of attribute.
  void write() {
    const std::vector<float> weight = {1, 2, 3, 4, 5, 6};
    engine::Engine engine;
    engine.name = "tiny";
    engine.isa = "none";
    engine.constants.push_back({DType::f32, {2, 3}, "", 0, 0, 0, nullptr});
    engine.values = {{"x", DType::f32, {Dim::symbol("n"), Dim(2)}, -1},
                     {"w", DType::f32, {Dim(2), Dim(3)}, 0},
                     {"y", DType::f32, {Dim::symbol("n") * Dim(2) + Dim(1), Dim(3)}, -1}};
    engine::Step step;
    step.op = "MatMul";
    step.name = "product";
    step.module = "layer.0";
    step.kernels = {{"a", 8}, {"b"}};
    step.inputs = {0, 1, engine::kAbsent};
    step.outputs = {2};
    step.attributes = {
        {"i", std::int64_t{-3}},          {"f", 0.5F},
        {"s", std::string("text")},       {"is", std::vector<std::int64_t>{1, 2}},
        {"fs", std::vector<float>{1.5F}}, {"ss", std::vector<std::string>{"p", "q"}}};
    engine.steps.push_back(step);
    engine.inputs = {0};
    engine.outputs = {2};
    engine.constraints = {{Dim::symbol("n"), Dim(4), "somewhere"}};
    engine.state = {2, 1024, 512};
    engine.tuned = {{{"n", 4}}, {{"n", 8}, {"m", 2}}};
    Contents contents;
    contents.files["tokenizer.json"] = std::string("{\0}", 3);
    contents.provenance = {{"from", "here"}};
    Writer writer(path_);
    writer.put(engine.constants[0], std::as_bytes(std::span(weight)));
    auto second = std::make_shared<engine::Engine>(engine);
    second->name = "second";
    writer.finish({{kModel, std::make_shared<engine::Engine>(engine)}, {"second", second}},
                  contents);
  }

  void overwrite(const std::string& text) { std::ofstream(path_, std::ios::binary) << text; }

  std::filesystem::path path_;
};

TEST_F(BundleFile, ComesBackAsItWas) {
  write();
  for (const Weights weights : {Weights::checked, Weights::mapped}) {
    const Bundle bundle = open(path_, weights);
    ASSERT_EQ(bundle.engines.size(), 2U);
    EXPECT_EQ(bundle.engines.at("second")->name, "second");
    const engine::Engine& engine = *bundle.engines.at(kModel);
    EXPECT_EQ(engine.values[2].shape[0].to_string(), "2*n + 1");
    EXPECT_EQ(engine.steps[0].module, "layer.0");
    EXPECT_EQ(engine.steps[0].kernels[0].max_rows, 8);
    EXPECT_EQ(engine.steps[0].inputs[2], engine::kAbsent);
    EXPECT_EQ(engine.steps[0].attributes.get_ints("is"), (std::vector<std::int64_t>{1, 2}));
    EXPECT_EQ(engine.steps[0].attributes.get_string("s", ""), "text");
    EXPECT_EQ(engine.steps[0].attributes.size(), 6U);
    EXPECT_EQ(engine.state.context_length, 512);
    EXPECT_TRUE(engine::tuned_for(engine, {{"n", 6}, {"m", 2}}));
    EXPECT_FALSE(engine::tuned_for(engine, {{"n", 9}, {"m", 2}}));
    EXPECT_FALSE(engine::tuned_for(engine, {{"other", 1}}));
    EXPECT_EQ(bundle.contents.files.at("tokenizer.json"), std::string("{\0}", 3));
    EXPECT_EQ(bundle.contents.provenance.at("from"), "here");
    EXPECT_TRUE(bundle.contents.evidence.is_null());
    EXPECT_EQ(reinterpret_cast<const float*>(engine.constants[0].data.get())[5], 6.0F);
  }
}

TEST_F(BundleFile, WithoutFinishNothingIsLeft) {
  { Writer writer(path_); }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

// Every cut and every flipped byte is refused with an Error; the weights' sums are part of that.
class PartFile : public BundleFile {
 protected:
  PartFile() : part_(path_.string() + ".part") {
    Writer writer(path_, part_);
    EXPECT_EQ(writer.resume({}), 0U);
    for (int i = 0; i < 3; ++i) {
      constants_.push_back({DType::i8, {5000}, "", 0, 0, 0, nullptr});
      writer.put(constants_.back(), bytes_of(i));
    }
  }
  ~PartFile() override { std::filesystem::remove(part_); }

  static std::vector<std::byte> bytes_of(int seed) {
    return std::vector<std::byte>(5000, static_cast<std::byte>(seed + 1));
  }

  std::filesystem::path part_;
  std::vector<engine::Constant> constants_;
};

TEST_F(PartFile, StaysAndIsGoneOnWith) {
  ASSERT_TRUE(std::filesystem::exists(part_));
  {
    Writer writer(path_, part_);
    EXPECT_EQ(writer.resume(constants_), 3U);
    engine::Constant next{DType::i8, {5000}, "", 0, 0, 0, nullptr};
    writer.put(next, bytes_of(3));
    EXPECT_EQ(next.offset, constants_[2].offset + 8192);
    constants_.push_back(next);
    EXPECT_THROW(Writer(path_, part_), Error);  // one at a time
  }
  Writer writer(path_, part_);
  EXPECT_EQ(writer.resume(constants_), 4U);
  writer.forget_from(constants_[1]);
  writer.finish({}, {});
  EXPECT_FALSE(std::filesystem::exists(part_));
  EXPECT_LT(std::filesystem::file_size(path_), constants_[2].offset + kBlobStart + 4096);
}

TEST_F(PartFile, OnlySoundConstantsAreTaken) {
  {
    std::fstream file(part_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(kBlobStart + constants_[1].offset + 17));
    file.put('x');
  }
  auto beyond = constants_;
  beyond[0].bytes = ~std::uint64_t{0} - 10;
  EXPECT_EQ(Writer(path_, part_).resume(constants_), 1U);
  EXPECT_EQ(Writer(path_, part_).resume(beyond), 0U);
  auto elsewhere = constants_;
  elsewhere[0].offset = ~std::uint64_t{0} & ~std::uint64_t{4095};
  EXPECT_EQ(Writer(path_, part_).resume(elsewhere), 0U);
}

TEST_F(PartFile, GoesWhenDiscarded) {
  Writer(path_, part_).discard();
  EXPECT_FALSE(std::filesystem::exists(part_));
}

TEST_F(BundleFile, DamageIsNeverMissed) {
  write();
  const std::string whole = read_file(path_);
  for (std::size_t length = 0; length < whole.size(); length += 97) {
    overwrite(whole.substr(0, length));
    EXPECT_THROW(open(path_), Error) << length;
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    const bool padding = at >= 64 && at < kBlobStart;
    const bool after_weight = at >= kBlobStart + 24 && at < 2 * kBlobStart;
    if (padding || after_weight) continue;
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x40);
    overwrite(flipped);
    EXPECT_THROW(open(path_), Error) << at;
  }
}

// A sum that was made right again does not make a bad offset good.
TEST_F(BundleFile, OffsetsAreCheckedBeyondTheSums) {
  write();
  std::string text = read_file(path_);
  Header header;
  std::memcpy(&header, text.data(), sizeof header);
  for (std::size_t at = header.structure_offset; at + 8 <= text.size(); ++at) {
    std::string changed = text;
    changed[at + 7] = '\x7f';
    Header fixed = header;
    fixed.structure_sum = xxh3(std::as_bytes(std::span(changed)).subspan(header.structure_offset));
    fixed.sum = xxh3(std::as_bytes(std::span(&fixed, 1)).first(sizeof fixed - sizeof fixed.sum));
    std::memcpy(changed.data(), &fixed, sizeof fixed);
    overwrite(changed);
    try {
      open(path_);  // may be harmless: a float of an attribute, say
    } catch (const Error&) {
      continue;
    }
  }
}

}  // namespace
}  // namespace tenon::bundle
