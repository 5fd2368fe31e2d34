// From a prompt to pictures: encode, loop, decode; also from a picture, and inside a mask.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "image/image.h"
#include "pipelines/text_to_image/diffusion_models.h"
#include "pipelines/text_to_image/latents.h"
#include "pipelines/text_to_image/prompt_encoder.h"
#include "text/tokenizer.h"

namespace tenon::pipelines {

enum class VaeTiles {
  automatic,
  always,
  never
};  ///< automatic: for pictures beyond 2 tiles a side

struct ImageRequest {
  std::string prompt;
  std::string negative_prompt;  ///< counts only with guidance
  PromptOptions prompt_options;

  /// Pixels, multiples of facts().required_multiple. 0: those of the initial image, rounded down to
  /// a multiple, else the size that the model was trained at.
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::int64_t images = 1;
  std::int64_t steps = 50;
  double guidance = 7.5;        ///< 1 or less: none, and the unet runs once a step
  double guidance_rescale = 0;  ///< 0 to 1
  double eta = 0;               ///< noise of DDIM
  std::string scheduler;        ///< a name of scheduler_names(); empty: the checkpoint's own
  /// One seed: one generator for all images, as diffusers with one generator: the first image of
  /// several is not that of a run for one. As many as images: one generator an image, as diffusers
  /// with a list; each image is then the one that its seed gives alone.
  std::vector<std::uint64_t> seeds = {0};

  /// Image to image: the start, resized to the size asked for. `strength` in (0, 1] of the noise
  /// is put on it: steps * strength steps are run.
  std::optional<image::Image> init_image;
  double strength = 0.8;
  /// Inpainting: white is made new, black is kept (128 parts them). Needs init_image. At strength
  /// 1 the start is pure noise.
  std::optional<image::Image> mask;

  VaeTiles tiles = VaeTiles::automatic;
  bool vae_slicing = false;        ///< the decoder takes one image at a time
  std::int64_t preview_every = 0;  ///< steps between previews; 0: none
};

/// After each call of the unet and its step.
struct StepEvent {
  std::int64_t index = 0;  ///< 0 to steps - 1
  std::int64_t steps = 0;  ///< calls of this run: differs from the request by strength and order
  const LatentStatistics* statistics = nullptr;  ///< valid during the call, as are the next two
  const Tensor* latents = nullptr;
  const std::vector<image::Image>* previews = nullptr;  ///< null unless one is due and can be had
};
/// Returns false to stop: the result then is marked as cancelled and has no images.
using OnStep = std::function<bool(const StepEvent&)>;

struct ImageResult {
  std::vector<image::Image> images;
  bool cancelled = false;
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::vector<LatentStatistics> statistics;  ///< one a step
  Tensor latents;                            ///< the last ones
  Tensor decoded;                            ///< [n, 3, height, width], before rounding to 8 bits
  std::vector<std::string> notes;            ///< for the user, in plain words
  double text_encoder_s = 0;
  double encode_s = 0;
  std::vector<double> step_s;
  double vae_s = 0;
};

/// One of several requests that are run together. Both must outlive the run.
struct SharedRun {
  const ImageRequest* request = nullptr;
  OnStep on_step;
  // After the run:
  ImageResult result;
  std::exception_ptr error;  ///< what `run` would have thrown; null: none
};

/// How many pictures a call of the unet was for, of how many requests, and how long it took.
struct UnetCall {
  std::int64_t pictures = 0;
  std::size_t requests = 0;
  std::chrono::nanoseconds time{0};
};
using OnCall = std::function<void(const UnetCall&)>;

/// Keeps references: models and tokenizer must outlive it. One thread at a time.
class TextToImage {
 public:
  /// `scheduler_config`: scheduler_config.json (parse_python_json).
  TextToImage(DiffusionModels& models, const text::Tokenizer& tokenizer, Json scheduler_config)
      : models_(models), tokenizer_(tokenizer), scheduler_(std::move(scheduler_config)) {}

  /// Numbers are those of diffusers' StableDiffusion{,Img2Img,Inpaint}Pipeline on the CPU in
  /// float32, including the corrections that these make to old scheduler configs. Heeds Ctrl-C
  /// between steps. Error(usage): the request cannot be met, see preflight.h. Error(check_failed):
  /// a network gave NaN or infinity; the message names network and step.
  ImageResult run(const ImageRequest& request, const OnStep& on_step = {});

  /// Runs several requests step by step, with one call of the unet for all that stand at the same
  /// timestep with latents and texts of the same size; seeds, prompts and guidance may differ. Each
  /// is told of its own steps, and may stop or fail by itself. The pictures are those of `run`, bit
  /// for bit where the unet computes each row of a batch by itself in the same order (see
  /// serving/batching/batch_invariant.h), else within the rounding of its sums. Pictures are
  /// decoded one request after the other.
  /// `on_call` is told of each call of the unet.
  void run_together(std::span<SharedRun> runs, const OnCall& on_call = {});

  const Json& scheduler_config() const { return scheduler_; }

 private:
  DiffusionModels& models_;
  const text::Tokenizer& tokenizer_;
  Json scheduler_;
};

/// The size that a run makes of a request. Error(usage) says what the model can take.
struct ImageSize {
  std::int64_t width;
  std::int64_t height;
};
ImageSize resolve_size(const ImageRequest& request, const DiffusionFacts& facts);

}  // namespace tenon::pipelines
