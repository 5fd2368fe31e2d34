#include "checkpoint/diffusion_checks.h"

#include "base/error.h"

namespace tenon::checkpoint {
namespace {

constexpr std::int64_t kMax = std::int64_t{1} << 24;

const char* kMixedUp = "the folders of two models are mixed up";

template <typename... Args>
[[noreturn]] void contradict(fmt::format_string<Args...> format, Args&&... args) {
  Error error(ErrorCode::bad_input, fmt::format(format, std::forward<Args>(args)...));
  throw error.hint(kMixedUp);
}

// The width of the text states that the network over latents takes; 0 when it differs by block.
std::int64_t text_width(const Json& unet) {
  if (find_field(unet, "encoder_hid_dim") != nullptr)
    return get_int(unet, "encoder_hid_dim", 1, kMax);
  const Json* width = find_field(unet, "cross_attention_dim");
  if (width != nullptr && width->is_array()) return 0;
  return get_int(unet, "cross_attention_dim", 1, kMax, 1280);
}

void check_text(const Json& unet, const Json& text) {
  const std::int64_t wanted = text_width(unet);
  const std::int64_t given = get_int(text, "hidden_size", 1, kMax, 512);
  if (wanted != 0 && wanted != given) {
    contradict(
        "unet takes text states of width {} (cross_attention_dim), text_encoder gives {} "
        "(hidden_size)",
        wanted, given);
  }
}

// Beside noisy latents a network may take a mask, a depth map, or a picture, or both of these.
void check_latents(const Json& unet, const Json& vae) {
  const std::int64_t latents = get_int(vae, "latent_channels", 1, kMax, 4);
  const std::int64_t in = get_int(unet, "in_channels", 1, kMax, 4);
  const std::int64_t out = get_int(unet, "out_channels", 1, kMax, 4);
  if (in != latents && in != latents + 1 && in != 2 * latents && in != 2 * latents + 1) {
    contradict(
        "unet takes {} channels (in_channels), vae has {} (latent_channels): {}, {}, {} or "
        "{} were expected",
        in, latents, latents, latents + 1, 2 * latents, 2 * latents + 1);
  }
  if (out != latents && out != 2 * latents) {
    contradict("unet gives {} channels (out_channels), vae has {} (latent_channels)", out, latents);
  }
}

void check_tiny(const Json& tiny, const Json& vae) {
  const std::int64_t small = get_int(tiny, "latent_channels", 1, kMax, 4);
  const std::int64_t large = get_int(vae, "latent_channels", 1, kMax, 4);
  if (small != large) contradict("tiny_vae has {} latent_channels, vae {}", small, large);
}

std::vector<std::string> suspicions(const DiffusionCheckpoint& checkpoint) {
  std::vector<std::string> texts;
  const auto& files = checkpoint.side_files();
  const Checkpoint* text = checkpoint.find("text_encoder");
  const auto tokenizer = files.find("tokenizer/tokenizer_config.json");
  if (text != nullptr && tokenizer != files.end()) {
    const Json config = parse_json(tokenizer->second, tokenizer->first);
    const Json* length = find_field(config, "model_max_length");
    const std::int64_t places = get_int(text->config(), "max_position_embeddings", 1, kMax, 77);
    // Some tokenizers say 1e30 for "no limit".
    if (length != nullptr && length->is_number() && length->get<double>() < 1e9 &&
        length->get<double>() > static_cast<double>(places)) {
      texts.push_back(fmt::format("The tokenizer makes up to {} tokens, the text encoder takes {}.",
                                  length->get<double>(), places));
    }
  }
  if (checkpoint.scheduler_config().empty())
    texts.push_back("There is no scheduler configuration: the noise schedule is not known.");
  return texts;
}

}  // namespace

std::vector<std::string> check_parts(const DiffusionCheckpoint& checkpoint) {
  const Checkpoint* text = checkpoint.find("text_encoder");
  const Checkpoint* unet = checkpoint.find("unet");
  const Checkpoint* vae = checkpoint.find("vae");
  const Checkpoint* tiny = checkpoint.find("tiny_vae");
  if (unet != nullptr && text != nullptr) check_text(unet->config(), text->config());
  if (unet != nullptr && vae != nullptr) check_latents(unet->config(), vae->config());
  if (tiny != nullptr && vae != nullptr) check_tiny(tiny->config(), vae->config());
  return suspicions(checkpoint);
}

}  // namespace tenon::checkpoint
