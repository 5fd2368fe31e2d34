// The networks of a picture model, each from the part of the checkpoint that holds it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/diffusion.h"
#include "models/model.h"

namespace tenon::models {

struct Component {
  std::string name;
  graph::Graph graph;
};

/// Names that a picture model's networks may have, in the order in which they run: text_encoder,
/// unet, vae_encoder, vae_decoder, tiny_decoder.
std::span<const std::string_view> component_names();

/// A class of diffusers or transformers that can play a component's part.
struct ComponentClass {
  std::string_view component;
  std::string_view class_name;
  graph::Graph (*build)(const Json& config, const Weights& weights, const BuildOptions& options);
};
std::span<const ComponentClass> component_classes();
/// What config.json says in _class_name, else in architectures; empty when it says nothing.
std::string class_name_of(const Json& config);

/// All that the checkpoint has the weights for; Error(bad_input) carries the component's name.
/// Inputs and outputs as optimum exports them: see clip_text.h, unet_2d_condition.h,
/// autoencoder_kl.h and autoencoder_tiny.h.
std::vector<Component> build_components(const checkpoint::DiffusionCheckpoint& checkpoint,
                                        const BuildOptions& options = {});
/// One of them. Error(usage) for a name that does not stand above, Error(bad_input) where the
/// checkpoint has no such part.
graph::Graph build_component(const checkpoint::DiffusionCheckpoint& checkpoint,
                             std::string_view name, const BuildOptions& options = {});

/// From the folder of one part alone, such as `unet/`. Its config.json names the class in
/// _class_name or architectures. Error(usage) for a name that does not stand above,
/// Error(bad_input) for a class that cannot play that part.
graph::Graph build_component(const checkpoint::Checkpoint& part, std::string_view name,
                             const BuildOptions& options = {});

}  // namespace tenon::models
