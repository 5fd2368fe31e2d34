#include "pipelines/text_to_image/preflight.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tenon::pipelines {
namespace {

using Severity = Finding::Severity;

class Findings {
 public:
  void error(std::string message, std::string advice) {
    add(Severity::error, std::move(message), std::move(advice));
  }
  void warning(std::string message, std::string advice) {
    add(Severity::warning, std::move(message), std::move(advice));
  }
  void note(std::string message, std::string advice = {}) {
    add(Severity::note, std::move(message), std::move(advice));
  }
  std::vector<Finding> take() {
    std::stable_sort(all_.begin(), all_.end(),
                     [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
    return std::move(all_);
  }

 private:
  void add(Severity severity, std::string message, std::string advice) {
    all_.push_back({severity, std::move(message), std::move(advice)});
  }
  std::vector<Finding> all_;
};

std::string prediction_type(const Json& scheduler_config) {
  return get_string(scheduler_config, "prediction_type", "epsilon");
}

void check_channels(const DiffusionFacts& facts, Findings& out) {
  const std::int64_t latents = facts.latent_channels;
  if (facts.unet_channels != latents && facts.unet_channels != 2 * latents + 1) {
    out.error(fmt::format("the unet takes {} channels, the autoencoder has {}: expected {} or, for "
                          "inpainting, {}",
                          facts.unet_channels, latents, latents, 2 * latents + 1),
              "take unet and vae of one checkpoint");
  }
  if (!facts.scaling_factor) {
    out.warning("the autoencoder's config names no scaling_factor; 0.18215 is taken",
                "add scaling_factor to vae/config.json if the pictures are pale or burnt");
  }
}

void check_text(const DiffusionFacts& facts, const text::Tokenizer& tokenizer, Findings& out) {
  if (facts.unet_text_width != 0 && facts.text_width != 0 &&
      facts.unet_text_width != facts.text_width) {
    out.error(fmt::format("the text encoder gives states of width {}, the unet takes {}",
                          facts.text_width, facts.unet_text_width),
              "take both from one checkpoint: 768 is Stable Diffusion 1, 1024 is 2");
  }
  if (facts.text_length < 3) {
    out.error(fmt::format("the text encoder takes {} tokens", facts.text_length),
              "build it for its own length, 77 in Stable Diffusion");
  }
  if (facts.model_text_length != 0 && facts.model_text_length != facts.text_length) {
    out.error(fmt::format("the text encoder was built for {} tokens, the model was trained on {}",
                          facts.text_length, facts.model_text_length),
              fmt::format("export or build it for {} tokens", facts.model_text_length));
  }
  if (facts.fixed_text_tokens != 0 && facts.fixed_text_tokens != facts.text_length) {
    out.error(fmt::format("the unet was built for {} text tokens, the text encoder gives {}",
                          facts.fixed_text_tokens, facts.text_length),
              fmt::format("build the unet for {} tokens, or with that size left open",
                          facts.text_length));
  }
  if (facts.text_vocabulary != 0 && tokenizer.vocabulary_size() > facts.text_vocabulary) {
    out.error(fmt::format("the tokenizer has ids up to {}, the text encoder knows {}",
                          tokenizer.vocabulary_size() - 1, facts.text_vocabulary),
              "take both from one checkpoint; tokens that were added need rows of their own");
  }
}

void check_scheduler(const DiffusionFacts& facts, const Json& config, Findings& out) {
  const std::string type = prediction_type(config);
  // The only published models of this size and width are Stable Diffusion 2 at 768, which were
  // trained on v_prediction.
  if (facts.cross_attention_dim == 1024 && facts.native_size == 768 && type == "epsilon") {
    out.warning(
        "the unet's config (text width 1024, trained at 768) is that of Stable Diffusion 2 "
        "at 768, which predicts v; the scheduler's config says epsilon",
        "if the pictures are noise, set \"prediction_type\": \"v_prediction\" in "
        "scheduler/scheduler_config.json");
  }
  if (facts.cross_attention_dim == 768 && type == "v_prediction") {
    out.note(
        "the unet's config is that of Stable Diffusion 1, whose published models predict "
        "epsilon; the scheduler's config says v_prediction",
        "that is right for models trained so, else set it to epsilon");
  }
  if (get_bool(config, "rescale_betas_zero_snr", false) && type == "epsilon") {
    out.warning("rescale_betas_zero_snr with epsilon: the first step divides by a signal of 0",
                "models trained with it predict v: set prediction_type to v_prediction");
  }
}

void check_size(const DiffusionFacts& facts, const ImageRequest& request, Findings& out) {
  ImageSize size{};
  try {
    size = resolve_size(request, facts);
  } catch (const Error& error) {
    out.error(error.message(), error.advice());
    return;
  }
  const std::int64_t factor = facts.spatial_factor;
  if ((facts.fixed_width != 0 && size.width != facts.fixed_width * factor) ||
      (facts.fixed_height != 0 && size.height != facts.fixed_height * factor)) {
    out.error(fmt::format("the unet was built for pictures of {} x {}, asked for are {} x {}",
                          facts.fixed_width * factor, facts.fixed_height * factor, size.width,
                          size.height),
              "ask for that size, or build the unet with sizes left open");
  }
  if (facts.native_size == 0) return;
  const auto native = static_cast<double>(facts.native_size);
  const double ratio = static_cast<double>(size.width * size.height) / (native * native);
  if (ratio < 0.6 || ratio > 2) {
    out.warning(fmt::format("asked for are {} x {} pixels, the model was trained at {} x {}",
                            size.width, size.height, facts.native_size, facts.native_size),
                ratio < 1 ? "smaller pictures lose their subject; ask for the native size"
                          : "larger pictures repeat their subject; make the native size and then "
                            "image to image");
  }
}

void check_batch(const DiffusionFacts& facts, const ImageRequest& request, Findings& out) {
  if (facts.fixed_batch == 0) return;
  const bool doubled = uses_guidance(request, facts);
  const std::int64_t needed = request.images * (doubled ? 2 : 1);
  if (needed == facts.fixed_batch) return;
  if (needed % facts.fixed_batch != 0) {
    out.error(fmt::format("the unet was built for a batch of {}, a step needs {}{}",
                          facts.fixed_batch, needed, doubled ? " (guidance doubles it)" : ""),
              "build it with the batch left open, or for 1");
    return;
  }
  out.note(fmt::format("the unet was built for a batch of {}: {} runs a step{}", facts.fixed_batch,
                       needed / facts.fixed_batch, doubled ? ", guidance doubles them" : ""),
           "with the batch left open it is one");
}

void check_pictures(const DiffusionFacts& facts, const ImageRequest& request, Findings& out) {
  if (request.mask && !request.init_image) {
    out.error("a mask without a picture", "give the picture that it masks");
  }
  if (request.init_image && !facts.has_encoder) {
    out.error("image to image needs the autoencoder's encoder, and the model has none",
              "export or build the checkpoint with vae_encoder");
  }
  const bool inpainting = facts.unet_channels == 2 * facts.latent_channels + 1;
  if (inpainting && !request.mask) {
    out.error(
        fmt::format("this unet takes {} channels: it was made for inpainting", facts.unet_channels),
        "give a picture and a mask");
  }
}

void in_range(double value, double low, double high, const char* name, Findings& out) {
  if (value >= low && value <= high) return;
  out.error(fmt::format("{} is {}; expected {} to {}", name, value, low, high), "");
}

void check_numbers(const ImageRequest& request, Findings& out) {
  in_range(static_cast<double>(request.images), 1, 1024, "the number of images", out);
  in_range(request.guidance, 0, 1000, "guidance", out);
  in_range(request.guidance_rescale, 0, 1, "guidance rescale", out);
  in_range(static_cast<double>(request.prompt_options.clip_skip), 0, 1000, "clip skip", out);
  const std::size_t seeds = request.seeds.size();
  if (seeds != 1 && static_cast<std::int64_t>(seeds) != request.images) {
    out.error(fmt::format("{} seeds for {} images", seeds, request.images),
              "give one, or one an image");
  }
}

}  // namespace

bool uses_guidance(const ImageRequest& request, const DiffusionFacts& facts) {
  return request.guidance > 1 && facts.time_cond_width == 0;
}

std::vector<Finding> check_model(const DiffusionFacts& facts, const text::Tokenizer& tokenizer,
                                 const Json& scheduler_config) {
  Findings out;
  check_channels(facts, out);
  check_text(facts, tokenizer, out);
  check_scheduler(facts, scheduler_config, out);
  return out.take();
}

std::vector<Finding> preflight(const DiffusionFacts& facts, const text::Tokenizer& tokenizer,
                               const Json& scheduler_config, const ImageRequest& request) {
  Findings out;
  check_numbers(request, out);
  if (request.images >= 1) check_size(facts, request, out);
  check_batch(facts, request, out);
  check_pictures(facts, request, out);
  std::vector<Finding> all = check_model(facts, tokenizer, scheduler_config);
  const auto more = out.take();
  all.insert(all.end(), more.begin(), more.end());
  std::stable_sort(all.begin(), all.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  return all;
}

std::vector<Finding> check_prediction(const Json& scheduler_config, std::span<const float> sample,
                                      std::span<const float> output) {
  double products = 0;
  double samples = 0;
  double outputs = 0;
  for (std::size_t i = 0; i < std::min(sample.size(), output.size()); ++i) {
    products += static_cast<double>(sample[i]) * output[i];
    samples += static_cast<double>(sample[i]) * sample[i];
    outputs += static_cast<double>(output[i]) * output[i];
  }
  if (samples == 0 || outputs == 0) return {};
  const double correlation = products / std::sqrt(samples * outputs);
  const std::string type = prediction_type(scheduler_config);
  const bool noise = type == "epsilon" && correlation < 0.3;
  const bool velocity = type == "v_prediction" && correlation > 0.8;
  if (!noise && !velocity) return {};
  return {{Severity::warning,
           fmt::format("given nearly pure noise the unet's output has a correlation of {:.2f} with "
                       "it: it seems to have been trained on {}, the scheduler's config says {}",
                       correlation, noise ? "v_prediction" : "epsilon", type),
           fmt::format("if the pictures are noise, set \"prediction_type\": \"{}\" in "
                       "scheduler/scheduler_config.json",
                       noise ? "v_prediction" : "epsilon")}};
}

}  // namespace tenon::pipelines
