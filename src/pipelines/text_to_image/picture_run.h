// One picture request between its prompt and its pictures, step by step: what TextToImage runs.
#pragma once

#include <chrono>

#include "pipelines/text_to_image/preflight.h"
#include "pipelines/text_to_image/schedulers/scheduler.h"
#include "pipelines/text_to_image/text_to_image.h"

namespace tenon::pipelines {

/// One run: its parts are the phases, in order.
class PictureRun {
 public:
  PictureRun(DiffusionModels& models, const text::Tokenizer& tokenizer,
             const Json& scheduler_config, const ImageRequest& request, const OnStep& on_step);

  /// What the next call of the unet takes.
  struct Question {
    Tensor sample;
    double timestep = 0;
    const Tensor* states = nullptr;
    const Tensor* time_cond = nullptr;
  };

  void prepare();
  bool wants_step() const { return !result_.cancelled && at_ < scheduler_->timesteps().size(); }
  /// Of the next step.
  Question ask();
  /// With the unet's answer the step is done.
  void answer(const Tensor& output);
  ImageResult finish();

  void check(const std::vector<Finding>& findings);
  /// Behind `prepare`. Error(resource) when the machine has less memory free than the run takes.
  void check_memory() const;
  const Json& config() const { return config_; }

 private:
  void encode_texts();
  void prepare_schedule();
  void prepare_latents();
  Tensor initial_image(const ImageSize& size);
  // The draws of diffusers: the picture's latents, the noise, the latents of the masked picture
  // (drawn there even where they are not needed).
  void prepare_inpainting(const ImageSize& size);
  // `every`: each image draws from its own generator; else one image from the first.
  Tensor encode(const Tensor& images, bool every);
  std::vector<float> draw_one();
  void draw_noise();
  void start_from_noise();
  void start_from_image();
  static std::string at_step(const char* what, std::size_t i, std::span<const double> timesteps);
  // The model's output [images, channels, h, w], guided.
  Tensor guided(const Tensor& raw, std::size_t i, std::span<const double> timesteps);
  // Outside of the mask the latents follow those of the picture, noised as the next step expects.
  void keep_unmasked(std::size_t i, std::size_t steps);
  bool report(std::size_t i, std::size_t steps);
  bool tiled(const Shape& latents) const;
  void decode();

  DiffusionModels& models_;
  const DiffusionFacts& facts_;
  const text::Tokenizer& tokenizer_;
  const ImageRequest& request_;
  const OnStep& on_step_;
  NoiseSource noise_;
  Json config_;
  ImageResult result_;

  bool guided_ = false;
  Tensor states_;
  std::optional<Tensor> time_cond_;
  std::unique_ptr<Scheduler> scheduler_;
  std::size_t at_ = 0;  // the next step
  std::chrono::steady_clock::time_point step_start_;
  Shape shape_;           // of latents_
  Tensor image_latents_;  // of the initial image, as many as images
  Tensor start_noise_;
  Tensor latents_;
  Tensor mask_;                           // [1, 1, h, w]
  std::optional<Tensor> extra_channels_;  // mask and masked picture, for unets that take them
  bool drawn_ = false;  // the encoder gives a distribution, and this pipeline drew from it
};

}  // namespace tenon::pipelines
