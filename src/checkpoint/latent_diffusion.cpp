#include "checkpoint/latent_diffusion.h"

#include "base/error.h"
#include "checkpoint/hugging_face.h"
#include "checkpoint/latent_diffusion_config.h"
#include "checkpoint/latent_diffusion_names.h"
#include "checkpoint/original_config.h"

namespace tenon::checkpoint {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kUnet = "model.diffusion_model.";
constexpr std::string_view kVae = "first_stage_model.";
constexpr std::string_view kClip = "cond_stage_model.transformer.";
constexpr std::string_view kOpenClip = "cond_stage_model.model.";
constexpr std::string_view kAverages = "model_ema.";

// Takes the weights whose names start with `prefix` out of `all`, without it.
WeightMap take(WeightMap& all, std::string_view prefix) {
  WeightMap part;
  for (auto at = all.lower_bound(prefix); at != all.end() && at->first.starts_with(prefix);) {
    auto node = all.extract(at++);
    node.key().erase(0, prefix.size());
    part.insert(std::move(node));
  }
  return part;
}

struct Opener {
  const fs::path& path;
  LatentDiffusionFile& file;

  void add(const std::string& name, WeightMap weights, Json config) const {
    file.side_files[name + "/config.json"] = config.dump(2);
    WeightSet set{"latent-diffusion", std::move(weights), {path}};
    const fs::path directory = path / name;  // for messages: the part inside of the file
    file.parts.emplace(name, Checkpoint::assemble(std::move(set), std::move(config), directory));
  }
};

void note_rest(const WeightMap& rest, std::size_t averages, LatentDiffusionFile& file) {
  if (averages > 0) {
    file.notes.push_back(
        fmt::format("{} running averages of weights (model_ema.*) are passed over.", averages));
  }
  if (!rest.empty()) {
    file.notes.push_back(fmt::format("{} tensors that no network needs are passed over, {} first.",
                                     rest.size(), shown_name(rest.begin()->first)));
  }
}

Json model_index(const LatentDiffusionFile& file, const std::string& scheduler) {
  Json index = {{"_class_name", "StableDiffusionPipeline"},
                {"scheduler", {"diffusers", scheduler}},
                {"tokenizer", {"transformers", "CLIPTokenizer"}}};
  for (const auto& [name, part] : file.parts) {
    const Json& config = part.config();
    const bool text = name == "text_encoder";
    index[name] = {text ? "transformers" : "diffusers",
                   text ? config.at("architectures").at(0) : config.at("_class_name")};
  }
  return index;
}

}  // namespace

bool is_latent_diffusion(const WeightMap& weights) {
  const auto at = weights.lower_bound(kUnet);
  return at != weights.end() && at->first.starts_with(kUnet);
}

LatentDiffusionFile read_latent_diffusion(const fs::path& path, const fs::path& original_config,
                                          const std::string& prediction) {
  LatentDiffusionFile file;
  WeightMap all = read_weight_file(path).weights;
  if (!is_latent_diffusion(all)) {
    Error error(ErrorCode::bad_input,
                fmt::format("holds no picture model: none of its {} tensors is named {}*",
                            all.size(), kUnet));
    throw error.hint("name a diffusers directory, or a file in the original release's form");
  }
  file.original_config = find_original_config(path, original_config);
  const OriginalConfig original = read_original_config(file.original_config);
  const Opener opener{path, file};

  WeightMap unet = rename_unet(take(all, kUnet));
  LatentDiffusionFacts facts = unet_facts(unet, original, prediction);
  opener.add("unet", std::move(unet), facts.unet_config);
  if (WeightMap vae = rename_vae(take(all, kVae)); !vae.empty()) {
    Json config = vae_config(vae, original, facts);
    opener.add("vae", std::move(vae), std::move(config));
  }
  WeightMap clip = take(all, kClip);
  const bool open_clip = clip.empty();
  if (open_clip) clip = rename_open_clip(take(all, kOpenClip));
  if (!clip.empty()) {
    Json config = text_config(clip, open_clip);
    opener.add("text_encoder", std::move(clip), std::move(config));
  }
  const std::size_t averages = take(all, kAverages).size();
  note_rest(all, averages, file);
  if (!facts.warning.empty()) file.warnings.push_back(facts.warning);
  const Json scheduler = scheduler_config(original, facts);
  file.side_files["scheduler/scheduler_config.json"] = scheduler.dump(2);
  file.side_files["model_index.json"] =
      model_index(file, scheduler.at("_class_name").get<std::string>()).dump(2);
  return file;
}

}  // namespace tenon::checkpoint
