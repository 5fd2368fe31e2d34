// Networks for tests: what those of tests/text_to_image/tiny were given in a recorded run, and
// gave.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "pipelines/text_to_image/text_to_image.h"
#include "tensor/npy.h"

namespace tenon::pipelines {

inline const std::filesystem::path kRecordings = TENON_SOURCE_DIR "/tests/text_to_image";

inline const Json& recorded_runs() {
  static const Json kRuns = read_json(kRecordings / "runs.json");
  return kRuns;
}

/// An array of a run, by the key that record.py gave it.
inline const Tensor& recorded(const std::string& run, const std::string& key) {
  static const auto kArrays = read_npz(kRecordings / "runs.npz");
  const auto found = kArrays.find(run + "/" + key);
  if (found == kArrays.end()) bad_input("the recording has no {}/{}", run, key);
  return found->second;
}

inline bool has_recording(const std::string& run, const std::string& key) {
  try {
    recorded(run, key);
  } catch (const Error&) {
    return false;
  }
  return true;
}

/// Expects |a - b| <= tolerance * the largest |b|.
inline void expect_near(const Tensor& a, const Tensor& b, double tolerance,
                        const std::string& what) {
  ASSERT_EQ(a.shape(), b.shape()) << what;
  double largest = 0;
  double difference = 0;
  for (std::size_t i = 0; i < a.as<float>().size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(b.as<float>()[i])));
    const double here = std::abs(static_cast<double>(a.as<float>()[i]) - b.as<float>()[i]);
    difference = std::isnan(here) ? INFINITY : std::max(difference, here);
  }
  EXPECT_LE(difference, tolerance * largest) << what;
}

inline DiffusionFacts tiny_facts() {
  DiffusionFacts facts;
  facts.spatial_factor = 2;
  facts.required_multiple = 4;
  facts.native_size = 16;
  facts.scaling_factor = 0.18215;
  facts.text_width = 16;
  facts.unet_text_width = 16;
  facts.has_encoder = true;
  facts.tile_size = 16;
  facts.cross_attention_dim = 16;
  return facts;
}

/// Compares what it is given with the recording and gives what was recorded.
class RecordedModels final : public DiffusionModels {
 public:
  RecordedModels(std::string run, DiffusionFacts facts)
      : run_(std::move(run)), facts_(std::move(facts)) {}

  const DiffusionFacts& facts() const override { return facts_; }

  Tensor encode_text(const Tensor& ids, std::int64_t) override {
    const std::string key = next("text_encoder");
    const Tensor& expected = recorded(run_, key + ".ids");
    EXPECT_TRUE(std::ranges::equal(ids.as<std::int64_t>(), expected.as<std::int64_t>())) << key;
    return recorded(run_, key + ".states");
  }

  Tensor predict_noise(const Tensor& sample, double timestep, const Tensor& states,
                       const Tensor*) override {
    const auto index = static_cast<double>(calls_["unet"]);
    const std::string key = next("unet");
    // The schedulers promise 1e-5 of the largest value a step.
    expect_near(sample, recorded(run_, key + ".sample"), 1e-5 * (index + 1), key);
    EXPECT_NEAR(timestep, recorded(run_, key + ".timestep").as<double>()[0], 1e-3) << key;
    // Without weights states are copied.
    expect_near(states, recorded(run_, "unet.0.states"), 0, key);
    return recorded(run_, key + ".output");
  }

  Tensor decode(const Tensor& latents) override {
    const std::string key = next("vae_decoder");
    expect_near(latents, recorded(run_, key + ".latents"), 1e-4, key);
    return recorded(run_, key + ".sample");
  }

  // One recorded call an image where the recording went image by image.
  LatentParameters encode(const Tensor& images) override {
    LatentParameters all;
    for (std::int64_t i = 0; i < images.shape()[0]; ++i) {
      const std::string key = next("vae_encoder");
      // 8-bit values to [-1, 1] in float32: two roundings of at most 2^-24.
      expect_near(batch_slice(images, i, 1), recorded(run_, key + ".sample"), 1.2e-7, key);
      const Tensor& both = recorded(run_, key + ".parameters");
      Shape half = both.shape();
      half[1] /= 2;
      const std::size_t part = both.as<float>().size() / 2;
      const Tensor mean = Tensor::from_floats(half, both.as<float>().first(part));
      const Tensor logvar = Tensor::from_floats(half, both.as<float>().last(part));
      all.mean = i == 0 ? mean : join_batches(all.mean, mean);
      all.logvar = i == 0 ? logvar : join_batches(*all.logvar, logvar);
    }
    return all;
  }

  Tensor decode_preview(const Tensor&) override {
    fail(ErrorCode::internal, "the tiny model has no tiny decoder");
  }

  std::int64_t calls(const std::string& component) { return calls_[component]; }

 private:
  std::string next(const std::string& component) {
    return component + "." + std::to_string(calls_[component]++);
  }

  std::string run_;
  DiffusionFacts facts_;
  std::map<std::string, std::int64_t> calls_;
};

inline image::Image recorded_picture(const Tensor& tensor) {
  const auto& shape = tensor.shape();
  image::Image image(shape[1], shape[0], shape.size() == 3 ? static_cast<int>(shape[2]) : 1);
  std::copy_n(tensor.as<std::uint8_t>().begin(), image.pixels().size(), image.pixels().begin());
  return image;
}

/// The request of a recorded run.
inline ImageRequest recorded_request(const Json& run) {
  ImageRequest request;
  request.prompt = run["prompt"];
  if (find_field(run, "negative") != nullptr) request.negative_prompt = run["negative"];
  request.prompt_options.chunks = get_bool(run, "chunks", true);
  request.prompt_options.clip_skip = get_int(run, "clip_skip", 0, 10, 0);
  request.width = get_int(run, "width", 0, 1000, 0);
  request.height = get_int(run, "height", 0, 1000, 0);
  request.images = get_int(run, "images", 1, 10, 1);
  request.steps = run["steps"];
  request.guidance = get_number(run, "guidance", 7.5);
  request.guidance_rescale = get_number(run, "rescale", 0);
  request.eta = get_number(run, "eta", 0);
  request.seeds = run["seeds"].get<std::vector<std::uint64_t>>();
  request.strength = get_number(run, "strength", 1);
  request.vae_slicing = get_bool(run, "slicing", false);
  request.tiles = get_bool(run, "tiles", false) ? VaeTiles::always : VaeTiles::never;
  const std::string name = run["name"];
  if (has_recording(name, "init")) request.init_image = recorded_picture(recorded(name, "init"));
  if (has_recording(name, "mask")) request.mask = recorded_picture(recorded(name, "mask"));
  return request;
}

inline DiffusionFacts recorded_facts(const Json& run) {
  DiffusionFacts facts = tiny_facts();
  if (get_bool(run, "nine", false)) facts.unet_channels = 9;
  return facts;
}

}  // namespace tenon::pipelines
