// A published decoder of a latent autoencoder, from its PyTorch file by hand to a picture: real
// weights through every step of our own.
#include <cstdlib>

#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "models/image_builder.h"
#include "picture_models.h"

namespace tenon::tests {
namespace {

using graph::ValueId;
using models::BuildOptions;
using models::ImageBuilder;
using models::Weights;

constexpr std::int64_t kWidth = 64;
constexpr std::int64_t kPooled = 256;
constexpr std::int64_t kGroups = 4;
constexpr double kNormEpsilon = 1e-5;
constexpr std::int64_t kLatents = 32;
constexpr float kClamp = 3.0F;

std::filesystem::path shared_folder() {
  const char* root = std::getenv("TENON_TEST_DATA");
  return (root != nullptr ? std::filesystem::path(root)
                          : std::filesystem::path(TENON_SOURCE_DIR) / "../shared/data") /
         "taef2";
}

class Decoder {
 public:
  explicit Decoder(const Weights& weights) : builder_(weights, BuildOptions{}) {}

  graph::Graph build() {
    const ValueId latent = builder_.input(
        "latent", DType::f32,
        {Dim::symbol("batch"), kLatents, Dim::symbol("height"), Dim::symbol("width")});
    const ValueId narrow = builder_.multiply("0", latent, 1 / kClamp);
    x_ = builder_.multiply("0", builder_.node("0", "Tanh", {narrow}), kClamp);
    conv(1, kLatents, kWidth, true);
    x_ = relu("2", x_);
    int layer = 3;
    for (int stage = 0; stage < 3; ++stage) {
      for (int i = 0; i < 3; ++i) block(layer++, stage == 0);
      x_ = builder_.upsample_nearest(std::to_string(layer++), x_, 2);
      conv(layer++, kWidth, kWidth, false);
    }
    block(layer++, false);
    conv(layer, kWidth, 3, true);
    builder_.output(x_, "image");
    return builder_.finish();
  }

 private:
  ValueId relu(const std::string& module, ValueId x) { return builder_.node(module, "Relu", {x}); }

  void conv(int layer, std::int64_t in, std::int64_t out, bool bias) {
    x_ = builder_.conv(std::to_string(layer), x_, {in, out, 3, 1, {1, 1, 1, 1}, bias});
  }

  // x + pool(x) in the first stage; then conv-ReLU-conv-ReLU-conv, the sum with its input, ReLU.
  void block(int layer, bool pooled) {
    const std::string module = std::to_string(layer);
    if (pooled) {
      const std::string pool = module + ".pool";
      ValueId y = builder_.conv(pool + ".0", x_, models::pointwise(kWidth, kPooled, false));
      y = relu(pool, builder_.group_norm(pool + ".1", y, kPooled, kGroups, kNormEpsilon));
      y = builder_.conv(pool + ".3", y, models::pointwise(kPooled, kWidth, false));
      x_ = builder_.add(module, x_, y);
    }
    ValueId y = x_;
    for (const int part : {0, 2, 4}) {
      if (part > 0) y = relu(module, y);
      y = builder_.conv(module + ".conv." + std::to_string(part), y, {kWidth, kWidth});
    }
    x_ = relu(module, builder_.add(module, y, x_));
  }

  ImageBuilder builder_;
  ValueId x_ = graph::kNoValue;
};

TEST(Taef2, DecodesTheRecordedLatent) {
  const std::filesystem::path folder = shared_folder();
  if (!std::filesystem::exists(folder / "taef2_decoder.pth"))
    GTEST_SKIP() << folder << " is not on this machine";
  const auto file = checkpoint::Checkpoint::open(folder / "taef2_decoder.pth");
  const Weights weights = [&](const std::string& name, const Shape& shape) {
    return file.weight(name, shape);
  };
  const Recording recording = read_npz(folder / "reference.npz");
  const auto outputs = run_reference(Decoder(weights).build(), recording, "");
  EXPECT_LE(relative_l2(outputs.at("image").view(), recording.at("image").view()),
            kPictureTolerance);
}

}  // namespace
}  // namespace tenon::tests
