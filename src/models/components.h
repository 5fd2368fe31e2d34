// The networks of a picture model, each from the part of the checkpoint that holds it.
#pragma once

#include <span>
#include <string_view>

#include "models/model.h"

namespace tenon::models {

/// Names that a picture model's networks may have, in the order in which they run: text_encoder,
/// unet, vae_encoder, vae_decoder, tiny_decoder.
std::span<const std::string_view> component_names();

/// From the folder of one part alone, such as `unet/`. Its config.json names the class in
/// _class_name or architectures. Error(usage) for a name that does not stand above,
/// Error(bad_input) for a class that cannot play that part.
graph::Graph build_component(const checkpoint::Checkpoint& part, std::string_view name,
                             const BuildOptions& options = {});

}  // namespace tenon::models
