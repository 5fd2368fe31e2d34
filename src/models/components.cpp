#include "models/components.h"

#include <algorithm>
#include <array>

#include <fmt/ranges.h>

#include "base/error.h"
#include "models/autoencoder_kl.h"
#include "models/autoencoder_tiny.h"
#include "models/clip_text.h"
#include "models/unet_2d_condition.h"

namespace tenon::models {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"text_encoder", "unet", "vae_encoder",
                                                    "vae_decoder", "tiny_decoder"};

graph::Graph build_clip_plain(const Json& config, const Weights& weights,
                              const BuildOptions& options) {
  return build_clip_text(config, weights, options, false);
}

graph::Graph build_clip_projection(const Json& config, const Weights& weights,
                                   const BuildOptions& options) {
  return build_clip_text(config, weights, options, true);
}

constexpr std::array kClasses = {
    ComponentClass{"text_encoder", "CLIPTextModel", build_clip_plain},
    ComponentClass{"text_encoder", "CLIPTextModelWithProjection", build_clip_projection},
    ComponentClass{"unet", "UNet2DConditionModel", build_unet_2d_condition},
    ComponentClass{"vae_encoder", "AutoencoderKL", build_autoencoder_kl_encoder},
    ComponentClass{"vae_decoder", "AutoencoderKL", build_autoencoder_kl_decoder},
    ComponentClass{"vae_encoder", "AutoencoderTiny", build_autoencoder_tiny_encoder},
    ComponentClass{"vae_decoder", "AutoencoderTiny", build_autoencoder_tiny_decoder},
    ComponentClass{"tiny_decoder", "AutoencoderTiny", build_autoencoder_tiny_decoder},
};

void check_name(std::string_view name) {
  if (std::find(kNames.begin(), kNames.end(), name) != kNames.end()) return;
  fail(ErrorCode::usage, "\"{}\" is no component of a picture model; {} are", name,
       fmt::join(kNames, ", "));
}

const ComponentClass& find_class(std::string_view component, const Json& config) {
  const std::string class_name = class_name_of(config);
  if (class_name.empty())
    bad_input("config.json names no class in \"_class_name\" or \"architectures\"");
  std::vector<std::string_view> known;
  for (const ComponentClass& row : kClasses) {
    if (row.component != component) continue;
    if (row.class_name == class_name) return row;
    known.push_back(row.class_name);
  }
  Error error(ErrorCode::bad_input,
              fmt::format("class {} is not supported as {}", class_name, component));
  throw error.hint(
      fmt::format("supported are {}; other models can come in as ONNX", fmt::join(known, ", ")));
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// Names that other releases of diffusers and transformers give the same weights: attention of
// autoencoders before diffusers 0.17, text models without their wrapper from transformers 5.6 on.
std::string older_name(const std::string& name) {
  if (name.starts_with("text_model.")) return name.substr(std::string_view("text_model.").size());
  if (name.find("attentions.") == std::string::npos) return name;
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kOld = {
      {{".to_q.", ".query."},
       {".to_k.", ".key."},
       {".to_v.", ".value."},
       {".to_out.0.", ".proj_attn."}}};
  std::string old = name;
  for (const auto& [now, then] : kOld) old = replaced(old, now, then);
  return old;
}

// A 1x1 convolution as the matrix that it is: the oldest autoencoders store their projections so.
SourcePtr as_matrix(SourcePtr source, const Shape& shape) {
  const Shape& found = source->shape();
  const bool pointwise = shape.size() == 2 && found.size() == 4 && found[2] == 1 && found[3] == 1;
  return pointwise && found[0] == shape[0] && found[1] == shape[1]
             ? reshaped_source(std::move(source), shape)
             : source;
}

SourcePtr find_weight(const checkpoint::Checkpoint& part, const std::string& name,
                      const Shape& shape) {
  const std::string old = older_name(name);
  const std::string& stored = !part.has(name) && part.has(old) ? old : name;
  if (part.has(stored)) {
    const SourcePtr matrix = as_matrix(part.weight(stored), shape);
    if (matrix->shape() == shape) return matrix;
  }
  return part.weight(stored, shape);
}

// The part of the checkpoint that holds a component's weights.
std::string_view part_of(std::string_view component) {
  if (component == "vae_encoder" || component == "vae_decoder") return "vae";
  return component == "tiny_decoder" ? "tiny_vae" : component;
}

}  // namespace

std::span<const std::string_view> component_names() { return kNames; }

std::span<const ComponentClass> component_classes() { return kClasses; }

std::string class_name_of(const Json& config) {
  if (const Json* name = find_field(config, "_class_name"); name != nullptr && name->is_string())
    return name->get<std::string>();
  const Json* names = find_field(config, "architectures");
  const bool named =
      names != nullptr && names->is_array() && !names->empty() && names->front().is_string();
  return named ? names->front().get<std::string>() : "";
}

std::vector<Component> build_components(const checkpoint::DiffusionCheckpoint& checkpoint,
                                        const BuildOptions& options) {
  std::vector<Component> components;
  for (const std::string_view name : kNames) {
    if (checkpoint.find(part_of(name)) == nullptr) continue;
    components.push_back({std::string(name), build_component(checkpoint, name, options)});
  }
  return components;
}

graph::Graph build_component(const checkpoint::DiffusionCheckpoint& checkpoint,
                             std::string_view name, const BuildOptions& options) {
  check_name(name);
  return with_context(
      name, [&] { return build_component(checkpoint.part(part_of(name)), name, options); });
}

graph::Graph build_component(const checkpoint::Checkpoint& part, std::string_view name,
                             const BuildOptions& options) {
  check_name(name);
  return with_context(part.directory().string(), [&] {
    const Weights weights = [&](const std::string& weight, const Shape& shape) {
      return find_weight(part, weight, shape);
    };
    const ComponentClass& row = find_class(name, part.config());
    graph::Graph graph = row.build(part.config(), weights, options);
    graph.name = name;
    return graph;
  });
}

}  // namespace tenon::models
