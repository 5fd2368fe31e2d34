// The networks of a picture model, one run each: text encoder, one step of the UNet with guidance,
// decoder.
#include <fmt/format.h>

#include "commands/bench.h"
#include "operations.h"
#include "picture_model.h"

namespace tenon::apps {
namespace {

// Noise that does not depend on the machine; its values do not matter to the time.
Tensor noise(Shape shape, std::uint64_t seed) {
  Tensor made(DType::f32, std::move(shape));
  for (float& value : made.as<float>()) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    value = static_cast<float>(seed >> 40) / static_cast<float>(1 << 23) - 1.0F;
  }
  return made;
}

class Pictures final : public BenchSubject {
 public:
  Pictures(Model model, const BenchOptions& options, backend::Backend& backend)
      : options_(options), model_(std::move(model), backend) {
    const pipelines::DiffusionFacts& facts = model_.networks().facts();
    pipelines::ImageRequest request;
    request.width = options.width;
    request.height = options.height;
    const auto size = pipelines::resolve_size(request, facts);
    const std::int64_t rows = size.height / facts.spatial_factor;
    const std::int64_t columns = size.width / facts.spatial_factor;
    width_ = size.width;
    height_ = size.height;
    ids_ = Tensor(DType::i64, {1, facts.text_length});
    sample_ = noise({2 * options.batch, facts.unet_channels, rows, columns}, 1);
    states_ = noise({2 * options.batch, facts.text_length, facts.text_width}, 2);
    latents_ = noise({options.batch, facts.latent_channels, rows, columns}, 3);
  }

  void round(bool counted) override {
    pipelines::SessionModels& networks = model_.networks();
    const auto timed = [&](const char* part, auto&& body) {
      const auto start = BenchClock::now();
      body();
      if (counted) times_[part].values.push_back(seconds_since(start));
    };
    timed("text_encoder", [&] { networks.encode_text(ids_, 0); });
    timed("unet", [&] { networks.predict_noise(sample_, 500, states_, nullptr); });
    timed("vae_decoder", [&] { networks.decode(latents_); });
  }

  Json json(const MachineLimits& limits) const override {
    Json parts = Json::object();
    for (const auto& [part, series] : times_) {
      parts[part] = {{"s", series.json()},
                     {"operations", work_of(part)},
                     {"limit_s", limit_of(part, limits)},
                     {"arena_bytes", session(part).executor().arena_bytes()}};
    }
    return {{"subject", model_.model().name},
            {"precision", engine("unet").precision},
            {"isa", engine("unet").isa},
            {"load_s", load_s},
            {"resident_bytes", resident_bytes},
            {"width", width_},
            {"height", height_},
            {"guidance_batch", 2 * options_.batch},
            {"parts", parts}};
  }

  std::vector<BenchLine> lines(const MachineLimits& limits) const override {
    std::vector<BenchLine> lines;
    for (const auto& [part, series] : times_) {
      const double seconds = series.median();
      const double limit = limit_of(part, limits);
      lines.push_back({part == "unet" ? "unet step, guided" : part,
                       fmt::format("{:.3f} s", seconds), limit / seconds});
    }
    return lines;
  }

  std::vector<std::pair<std::string, session::Executor*>> executors() override {
    std::vector<std::pair<std::string, session::Executor*>> found;
    for (const char* part : {"text_encoder", "unet", "vae_decoder"})
      found.emplace_back(part, &session(part).executor());
    return found;
  }

 private:
  session::TensorSession& session(const std::string& part) const {
    return *model_.networks().session(part);
  }
  const engine::Engine& engine(const std::string& part) const { return session(part).engine(); }
  double work_of(const std::string& part) const {
    return operations(engine(part), session(part).executor().sizes());
  }
  double limit_of(const std::string& part, const MachineLimits& limits) const {
    const double peak = peak_of(limits, engine(part).precision);
    return peak > 0 ? work_of(part) / peak : 0;
  }

  const BenchOptions& options_;
  mutable PictureModel model_;
  std::int64_t width_ = 0;
  std::int64_t height_ = 0;
  Tensor ids_, sample_, states_, latents_;
  std::map<std::string, Series> times_;
};

}  // namespace

std::unique_ptr<BenchSubject> bench_pictures(Model model, const BenchOptions& options,
                                             backend::Backend& backend) {
  return std::make_unique<Pictures>(std::move(model), options, backend);
}

}  // namespace tenon::apps
