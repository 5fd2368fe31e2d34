#include "checkpoint/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/pickle_bytes.h"
#include "checkpoint/test_files.h"
#include "checkpoint/zip_directory.h"

namespace tenon::checkpoint {
namespace {

using ::testing::AllOf;
using testing::bytes_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::recorded;
using testing::refusal;
using testing::shared_data;
using testing::TemporaryDirectory;
using testing::zip_of;
using testing::ZipFile;

void expect_same(const Checkpoint& found, const Checkpoint& expected) {
  EXPECT_EQ(found.names(), expected.names());
  for (const std::string& name : expected.names()) {
    SCOPED_TRACE(name);
    const SourcePtr right = expected.weight(name);
    const SourcePtr source = found.weight(name, right->shape());
    ASSERT_EQ(source->dtype(), right->dtype());
    const Tensor a = source->load();
    const Tensor b = right->load();
    ASSERT_EQ(a.bytes(), b.bytes());
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.bytes()), 0);
    // Row by row must give the same as the whole.
    const std::size_t row = a.shape().empty() ? a.bytes()
                            : source->rows() == 0
                                ? 0
                                : a.bytes() / static_cast<std::size_t>(source->rows());
    std::vector<std::byte> one(row + 1);
    for (std::int64_t i = 0; i < source->rows() && row > 0; ++i) {
      source->read(i, i + 1, one.data());
      EXPECT_EQ(std::memcmp(one.data(), b.data() + static_cast<std::size_t>(i) * row, row), 0);
    }
  }
}

TEST(TorchFile, EveryFormGivesTheSameWeights) {
  const Checkpoint expected = Checkpoint::open(recorded("torch/expected.safetensors"));
  for (const char* name :
       {"zip.pth", "protocol4.pth", "protocol5.pth", "legacy.pth", "nested.pt"}) {
    SCOPED_TRACE(name);
    const Checkpoint found = Checkpoint::open(recorded("torch") / name);
    EXPECT_EQ(found.form(), "huggingface-pytorch");
    expect_same(found, expected);
  }
}

TEST(TorchFile, ContiguousStoragesAreMappedInPlace) {
  const Checkpoint found = Checkpoint::open(recorded("torch/zip.pth"));
  EXPECT_TRUE(found.weight("plain")->view());
  EXPECT_TRUE(found.weight("shared")->view());
  EXPECT_FALSE(found.weight("transposed")->view());
}

TEST(TorchFile, FindsTheStateDictOfATrainingCheckpoint) {
  for (const char* name : {"training.ckpt", "training_legacy.ckpt"}) {
    const Checkpoint found = Checkpoint::open(recorded("torch") / name);
    EXPECT_THAT(found.names(), ElementsAre("0.bias", "0.weight", "1.bias", "1.weight")) << name;
    EXPECT_EQ(found.weight("0.weight", {3, 2})->dtype(), DType::f32);
  }
}

TEST(TorchFile, ShardsAreJoinedThroughTheIndex) {
  const Checkpoint found = Checkpoint::open(recorded("torch_shards"));
  EXPECT_THAT(found.names(), ElementsAre("a.weight", "b.weight"));
  EXPECT_THAT(found.weight("b.weight")->load().as<float>(), ElementsAre(1, 1, 1, 1));
}

TEST(TorchFile, RefusesScriptsAndCompression) {
  EXPECT_THAT(refusal([] { Checkpoint::open(recorded("torch/script.pt")); }),
              AllOf(HasSubstr("script.pt"), HasSubstr("TorchScript")));
  EXPECT_THAT(refusal([] { Checkpoint::open(recorded("torch/compressed.pth")); }),
              HasSubstr("compressed by method 8"));
}

TEST(TorchFile, RefusesOtherFiles) {
  const TemporaryDirectory directory;
  const auto refused = [&](const std::string& bytes) {
    return refusal([&] { Checkpoint::open(directory.write("x.bin", bytes)); });
  };
  EXPECT_THAT(refused(""), HasSubstr("neither a zip archive nor a pickle"));
  EXPECT_THAT(refused("hello"), HasSubstr("neither a zip archive nor a pickle"));
  std::string tar(512, '\0');
  tar.replace(257, 5, "ustar");
  EXPECT_THAT(refused(tar), HasSubstr("tar archive"));
  EXPECT_THAT(refused("\x80\x02N."), HasSubstr("another pickle"));
  EXPECT_THAT(refused("\x80\x00N."), HasSubstr("neither"));
}

// A state dict {"w": tensor} over storage "0" of so many float32.
std::string one_tensor(std::int64_t elements, std::int64_t offset,
                       const std::vector<std::int64_t>& sizes,
                       const std::vector<std::int64_t>& strides) {
  return testing::state_dict_pickle("w", elements, offset, sizes, strides);
}

std::string refused(const ZipFile& file) {
  const TemporaryDirectory directory;
  const auto path = directory.write("x.pth", zip_of(file));
  return refusal([&] { Checkpoint::open(path); });
}

ZipFile archive(const std::string& pickle, const std::string& storage) {
  return {{{"a/data.pkl", pickle}, {"a/data/0", storage}}};
}

TEST(TorchFile, ReadsAnArchiveMadeHere) {
  EXPECT_EQ(refused(archive(one_tensor(4, 0, {2, 2}, {2, 1}), std::string(16, '\0'))), "");
  // Expanded and narrowed views that stay inside.
  EXPECT_EQ(refused(archive(one_tensor(4, 3, {1, 1}, {9, 9}), std::string(16, '\0'))), "");
  EXPECT_EQ(refused(archive(one_tensor(4, 2, {2, 2}, {0, 1}), std::string(16, '\0'))), "");
}

TEST(TorchFile, RefusesPlacesOutsideTheStorage) {
  const auto with = [](std::int64_t offset, const std::vector<std::int64_t>& sizes,
                       const std::vector<std::int64_t>& strides) {
    return refused(archive(one_tensor(4, offset, sizes, strides), std::string(16, '\0')));
  };
  EXPECT_THAT(with(1, {2, 2}, {2, 1}), HasSubstr("reaches outside that storage"));
  EXPECT_THAT(with(-1, {1}, {1}), HasSubstr("reaches outside"));
  EXPECT_THAT(with(0, {2}, {-1}), HasSubstr("reaches outside"));
  EXPECT_THAT(with(0, {2}, {4}), HasSubstr("reaches outside"));
  EXPECT_THAT(with(0, {2, 2}, {INT64_MAX, INT64_MAX}), HasSubstr("reaches outside"));
  EXPECT_THAT(with(0, {std::int64_t{1} << 58}, {0}), HasSubstr("reaches outside"));
  EXPECT_THAT(with(0, {std::int64_t{1} << 62}, {0}), HasSubstr("more elements than memory"));
  EXPECT_THAT(with(0, {-2}, {1}), HasSubstr("negative dimension"));
  EXPECT_THAT(with(0, {2, 2}, {1}), HasSubstr("equally many"));
  EXPECT_THAT(with(5, {0}, {1}), HasSubstr("reaches outside"));
  EXPECT_THAT(with(0, {2, 2}, {2, 1}), "");
}

TEST(TorchFile, RefusesStoragesOfAnotherSize) {
  const std::string pickle = one_tensor(4, 0, {4}, {1});
  EXPECT_THAT(refused(archive(pickle, std::string(15, '\0'))), HasSubstr("has 15 bytes"));
  EXPECT_THAT(refused(archive(pickle, std::string(20, '\0'))), HasSubstr("has 20 bytes"));
  EXPECT_THAT(refused({{{"a/data.pkl", pickle}}}), HasSubstr("storage '0' is not there"));
}

TEST(TorchFile, RefusesAnotherByteOrder) {
  ZipFile file = archive(one_tensor(1, 0, {1}, {1}), "1234");
  file.entries.push_back({"a/byteorder", "big"});
  EXPECT_THAT(refused(file), HasSubstr("byte order is 'big'"));
}

TEST(TorchFile, RefusesADamagedPickle) {
  ZipFile file = archive(one_tensor(1, 0, {1}, {1}), "1234");
  file.entries[0].crc32 = 1;
  EXPECT_THAT(refused(file), AllOf(HasSubstr("00000001 was expected"), HasSubstr("damaged")));
}

TEST(TorchFile, RefusesTwoPicklesAndNone) {
  const std::string pickle = one_tensor(1, 0, {1}, {1});
  EXPECT_THAT(refused({{{"a/data.pkl", pickle}, {"b/data.pkl", pickle}}}),
              HasSubstr("two entries data.pkl"));
  EXPECT_THAT(refused({{{"a/data.pkl", pickle}, {"a/data.pkl", pickle}}}), HasSubstr("twice"));
  EXPECT_THAT(refused({{{"a/data.txt", pickle}}}), HasSubstr("without data.pkl"));
}

TEST(TorchFile, EveryCutAndFlipIsSafe) {
  const TemporaryDirectory directory;
  for (const char* name : {"torch/zip.pth", "torch/legacy.pth"}) {
    const std::string whole = read_file(recorded(name));
    for (std::size_t size = 0; size < whole.size(); size += 29) {
      const auto path = directory.write("cut.pth", whole.substr(0, size));
      EXPECT_NE(refusal([&] { Checkpoint::open(path); }), "") << name << " cut at " << size;
    }
    for (std::size_t place = 0; place < whole.size(); place += 17) {
      std::string flipped = whole;
      flipped[place] = static_cast<char>(flipped[place] ^ 0x41);
      const auto path = directory.write("flipped.pth", flipped);
      refusal([&] {
        const Checkpoint found = Checkpoint::open(path);
        for (const std::string& weight : found.names()) found.weight(weight)->load();
      });
    }
  }
}

TEST(RealFiles, Taef2DecoderOpens) {
  const auto path = shared_data("taef2/taef2_decoder.pth");
  if (path.empty()) GTEST_SKIP() << "the shared test data is not here";
  const Checkpoint checkpoint = Checkpoint::open(path);
  EXPECT_EQ(checkpoint.names().size(), 79U);
  EXPECT_TRUE(checkpoint.config().empty());
  std::int64_t count = 0;
  for (const std::string& name : checkpoint.names()) {
    EXPECT_EQ(checkpoint.weight(name)->dtype(), DType::f16);
    count += element_count(checkpoint.weight(name)->shape());
  }
  EXPECT_EQ(count, 1'338'499);
}

}  // namespace
}  // namespace tenon::checkpoint
