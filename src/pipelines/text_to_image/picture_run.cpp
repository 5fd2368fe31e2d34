#include "pipelines/text_to_image/picture_run.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "image/resize.h"
#include "image/tensor_form.h"
#include "pipelines/text_to_image/guidance.h"
#include "pipelines/text_to_image/preview.h"
#include "pipelines/text_to_image/vae_tiling.h"

namespace tenon::pipelines {
namespace {

// diffusers corrects old configs when a pipeline is made, each pipeline in its own way.
Json corrected(Json config, bool inpainting, std::vector<std::string>& notes) {
  const auto set = [&](const char* key, const Json& value) {
    const Json* found = find_field(config, key);
    if (found != nullptr && *found != value) {
      notes.push_back(
          fmt::format("the scheduler's config has {} {}; {} is taken, as diffusers does", key,
                      found->dump(), value.dump()));
    }
    config[key] = value;
  };
  set("steps_offset", 1);
  if (inpainting) {
    set("skip_prk_steps", true);
  } else {
    set("clip_sample", false);
  }
  return config;
}

}  // namespace

PictureRun::PictureRun(DiffusionModels& models, const text::Tokenizer& tokenizer,
                       const Json& scheduler_config, const ImageRequest& request,
                       const OnStep& on_step)
    : models_(models),
      facts_(models.facts()),
      tokenizer_(tokenizer),
      request_(request),
      on_step_(on_step),
      noise_(request.seeds) {
  config_ = corrected(scheduler_config, request.mask.has_value(), result_.notes);
}

void PictureRun::prepare() {
  encode_texts();
  prepare_schedule();
  prepare_latents();
}

PictureRun::Question PictureRun::ask() {
  check_interrupt();
  step_start_ = std::chrono::steady_clock::now();
  Question question{latents_, scheduler_->timesteps()[at_], &states_,
                    time_cond_ ? &*time_cond_ : nullptr};
  scheduler_->scale_model_input(question.sample.as<float>(), at_);
  if (guided_) question.sample = repeated(question.sample, 2);
  if (extra_channels_) question.sample = join_channels(question.sample, *extra_channels_);
  return question;
}

void PictureRun::answer(const Tensor& output) {
  const auto timesteps = scheduler_->timesteps();
  const std::size_t i = at_++;
  const Tensor wanted = guided(output, i, timesteps);
  scheduler_->step(wanted.as<float>(), i, latents_.as<float>(), noise_);
  if (request_.mask && facts_.unet_channels == facts_.latent_channels) {
    keep_unmasked(i, timesteps.size());
  }
  require_finite(latents_.as<float>(), at_step("scheduler: the latents", i, timesteps));
  result_.step_s.push_back(seconds_since(step_start_));
  result_.statistics.push_back(latent_statistics(latents_.as<float>(), timesteps[i]));
  if (!report(i, timesteps.size())) result_.cancelled = true;
}

ImageResult PictureRun::finish() {
  if (!result_.cancelled) decode();
  result_.latents = std::move(latents_);
  return std::move(result_);
}

void PictureRun::check(const std::vector<Finding>& findings) {
  for (const auto& finding : findings) {
    if (finding.severity == Finding::Severity::error) {
      throw Error(ErrorCode::usage, finding.message).hint(finding.advice);
    }
    result_.notes.push_back(finding.text());
  }
}

void PictureRun::check_memory() const {
  Shape sample = shape_;
  sample[0] *= guided_ ? 2 : 1;
  sample[1] = facts_.unet_channels;
  Shape part = shape_;
  if (tiled(shape_)) {
    const std::int64_t side = tiling_of(facts_).latent_size;
    part = {1, shape_[1], std::min(side, shape_[2]), std::min(side, shape_[3])};
  } else if (request_.vae_slicing) {
    part[0] = 1;
  }
  const std::size_t working =
      std::max(models_.noise_bytes(sample, states_.shape()), models_.decode_bytes(part));
  if (working == 0) return;
  // Latents, their noise, the sample and the answer of a step; pictures decoded (in the engine's
  // type, as float32 and joined) and rounded.
  const std::size_t tensors = static_cast<std::size_t>(element_count(sample)) * 4 * 6;
  const std::size_t pictures =
      static_cast<std::size_t>(request_.images * result_.width * result_.height) * 3 * (3 * 4 + 2);
  const std::size_t more = working - std::min(working, models_.held_bytes()) + tensors + pictures;
  const std::uint64_t free = available_memory();
  if (free == 0 || more <= free) return;
  throw Error(
      ErrorCode::resource,
      fmt::format("{} of {} x {} pixels take {} MB of memory more than is held, {} MB are "
                  "free",
                  request_.images == 1 ? "a picture" : fmt::format("{} pictures", request_.images),
                  result_.width, result_.height, more >> 20, free >> 20))
      .hint("ask for smaller pictures, or for fewer at once");
}

void PictureRun::encode_texts() {
  const auto start = std::chrono::steady_clock::now();
  guided_ = uses_guidance(request_, facts_);
  const PromptStates states =
      encode_prompts(models_, tokenizer_, request_.prompt, request_.negative_prompt, guided_,
                     request_.prompt_options, result_.notes);
  states_ = repeated(states.positive, request_.images);
  if (guided_) states_ = join_batches(repeated(states.negative, request_.images), states_);
  if (facts_.time_cond_width > 0) {
    time_cond_ = Tensor(DType::f32, {request_.images, facts_.time_cond_width});
    embed_guidance(request_.guidance, facts_.time_cond_width, time_cond_->as<float>());
  }
  result_.text_encoder_s = seconds_since(start);
}

void PictureRun::prepare_schedule() {
  scheduler_ = make_scheduler(config_, request_.scheduler, result_.notes);
  scheduler_->set_timesteps({.steps = request_.steps,
                             .strength = request_.init_image ? request_.strength : 1,
                             .images = request_.images,
                             .eta = request_.eta});
  const auto timesteps = scheduler_->timesteps();
  const auto fraction =
      std::find_if(timesteps.begin(), timesteps.end(), [](double t) { return t != std::floor(t); });
  if (facts_.integer_timesteps && fraction != timesteps.end()) {
    result_.notes.push_back(
        fmt::format("the scheduler has timesteps as {}, the unet takes whole numbers: fractions "
                    "are cut off; export the unet with a float timestep, or take another "
                    "scheduler",
                    *fraction));
  }
}

void PictureRun::prepare_latents() {
  const ImageSize size = resolve_size(request_, facts_);
  result_.width = size.width;
  result_.height = size.height;
  shape_ = {request_.images, facts_.latent_channels, size.height / facts_.spatial_factor,
            size.width / facts_.spatial_factor};
  const auto start = std::chrono::steady_clock::now();
  if (request_.mask) {
    prepare_inpainting(size);
  } else if (request_.init_image) {
    // One generator draws for the one picture, several for a copy each.
    const std::int64_t copies = noise_.generators() > 1 ? request_.images : 1;
    image_latents_ = encode(repeated(initial_image(size), copies), copies > 1);
    if (copies == 1) image_latents_ = repeated(image_latents_, request_.images);
    start_from_image();
  } else {
    start_from_noise();
  }
  result_.encode_s = seconds_since(start);
}

Tensor PictureRun::initial_image(const ImageSize& size) {
  return image::to_signed_tensor(
      image::resize_lanczos(*request_.init_image, size.width, size.height));
}

void PictureRun::prepare_inpainting(const ImageSize& size) {
  Tensor picture = initial_image(size);
  const Tensor mask =
      image::to_mask_tensor(image::resize_lanczos(*request_.mask, size.width, size.height));
  mask_ = shrink_mask(mask, facts_.spatial_factor);
  const bool blending = facts_.unet_channels == facts_.latent_channels;
  if (blending || request_.strength < 1) {
    image_latents_ = repeated(encode(picture, false), request_.images);
  }
  if (request_.strength < 1) {
    start_from_image();
  } else {
    start_from_noise();
  }
  if (blending) {
    if (drawn_) draw_one();
    return;
  }
  const auto plane = static_cast<std::size_t>(mask.count());
  for (std::size_t i = 0; i < 3 * plane; ++i) {
    if (mask.as<float>()[i % plane] >= 0.5F) picture.as<float>()[i] = 0;
  }
  const Tensor masked = encode(picture, false);
  extra_channels_ = repeated(join_channels(mask_, masked), request_.images * (guided_ ? 2 : 1));
}

Tensor PictureRun::encode(const Tensor& images, bool every) {
  const Tiling tiling = tiling_of(facts_);
  const Shape latents = {images.shape()[0], facts_.latent_channels, shape_[2], shape_[3]};
  const LatentParameters parameters =
      tiled(latents) ? tiled_encode(models_, images, tiling) : models_.encode(images);
  if (parameters.mean.shape() != latents) {
    bad_input("vae_encoder: latents of {} for pictures of {}; expected {}",
              to_string(parameters.mean.shape()), to_string(images.shape()), to_string(latents));
  }
  drawn_ = parameters.logvar.has_value();
  std::vector<float> draws;
  if (drawn_ && every) {
    draws.resize(static_cast<std::size_t>(element_count(latents)));
    noise_.normal(draws);
  } else if (drawn_) {
    draws = draw_one();
  }
  Tensor out = draw_latents(parameters, draws, facts_);
  require_finite(out.as<float>(), "vae_encoder: the latents of the initial image");
  return out;
}

std::vector<float> PictureRun::draw_one() {
  std::vector<float> draws(static_cast<std::size_t>(element_count(shape_) / shape_[0]));
  noise_.generator(0).randn(std::span<float>(draws));
  return draws;
}

void PictureRun::draw_noise() {
  start_noise_ = Tensor(DType::f32, shape_);
  noise_.normal(start_noise_.as<float>());
}

void PictureRun::start_from_noise() {
  draw_noise();
  latents_ = start_noise_;
  for (float& value : latents_.as<float>()) value *= scheduler_->init_noise_sigma();
}

void PictureRun::start_from_image() {
  draw_noise();
  latents_ = image_latents_;
  scheduler_->add_noise(image_latents_.as<float>(), start_noise_.as<float>(), 0,
                        latents_.as<float>());
}

std::string PictureRun::at_step(const char* what, std::size_t i,
                                std::span<const double> timesteps) {
  return fmt::format("{} of step {} of {} (timestep {})", what, i + 1, timesteps.size(),
                     timesteps[i]);
}

Tensor PictureRun::guided(const Tensor& raw, std::size_t i, std::span<const double> timesteps) {
  Tensor output = raw;
  Shape expected = shape_;
  if (guided_) expected[0] *= 2;
  if (output.shape() != expected) {
    bad_input("unet: an output of {}; expected {}", to_string(output.shape()), to_string(expected));
  }
  require_finite(output.as<float>(), at_step("unet: the output", i, timesteps));
  Tensor wanted = guided_ ? batch_slice(output, request_.images, request_.images) : output;
  if (i == 0 && !request_.init_image) {
    for (const auto& finding :
         check_prediction(config_, latents_.as<float>(), wanted.as<float>())) {
      result_.notes.push_back(finding.text());
    }
  }
  if (guided_) {
    guide(output.as<float>().first(wanted.as<float>().size()), wanted.as<float>(), request_.images,
          request_.guidance, request_.guidance_rescale);
  }
  return wanted;
}

void PictureRun::keep_unmasked(std::size_t i, std::size_t steps) {
  Tensor proper = image_latents_;
  if (i + 1 < steps) {
    scheduler_->add_noise(image_latents_.as<float>(), start_noise_.as<float>(), i + 1,
                          proper.as<float>());
  }
  const auto mask = mask_.as<float>();
  const auto from = proper.as<float>();
  const auto to = latents_.as<float>();
  for (std::size_t k = 0; k < to.size(); ++k) {
    const float share = mask[k % mask.size()];
    to[k] = (1 - share) * from[k] + share * to[k];
  }
}

bool PictureRun::report(std::size_t i, std::size_t steps) {
  if (!on_step_) return true;
  const bool due = request_.preview_every > 0 && i + 1 < steps &&
                   (i + 1) % static_cast<std::size_t>(request_.preview_every) == 0;
  const auto previews = due ? preview(models_, latents_) : std::nullopt;
  return on_step_({.index = static_cast<std::int64_t>(i),
                   .steps = static_cast<std::int64_t>(steps),
                   .statistics = &result_.statistics.back(),
                   .latents = &latents_,
                   .previews = previews ? &*previews : nullptr});
}

bool PictureRun::tiled(const Shape& latents) const {
  const Tiling tiling = tiling_of(facts_);
  if (request_.tiles == VaeTiles::never) return false;
  if (request_.tiles == VaeTiles::always) return needs_tiles(latents, tiling);
  return needs_tiles(latents, {tiling.sample_size * 2, tiling.latent_size * 2});
}

void PictureRun::decode() {
  const auto start = std::chrono::steady_clock::now();
  const Tensor own = unscaled(latents_, facts_);
  if (tiled(shape_)) {
    result_.notes.push_back(
        fmt::format("the picture is decoded in tiles of {} pixels", tiling_of(facts_).sample_size));
    result_.decoded = tiled_decode(models_, own, tiling_of(facts_));
  } else if (request_.vae_slicing) {
    for (std::int64_t i = 0; i < shape_[0]; ++i) {
      Tensor one = models_.decode(batch_slice(own, i, 1));
      result_.decoded = i == 0 ? std::move(one) : join_batches(result_.decoded, one);
    }
  } else {
    result_.decoded = models_.decode(own);
  }
  const Shape expected = {shape_[0], 3, result_.height, result_.width};
  if (result_.decoded.shape() != expected) {
    bad_input("vae_decoder: a picture of {}; expected {}", to_string(result_.decoded.shape()),
              to_string(expected));
  }
  require_finite(result_.decoded.as<float>(), "vae_decoder: the picture");
  result_.images = image::from_signed_tensor(result_.decoded.view());
  result_.vae_s = seconds_since(start);
}

}  // namespace tenon::pipelines
