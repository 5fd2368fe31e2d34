// How a UNet is told the time and the class of its picture: waves of fixed frequencies through two
// linear layers.
#pragma once

#include "models/image_builder.h"
#include "models/unet_2d_config.h"

namespace tenon::models {

/// Creates the inputs timestep, timestep_cond and class_labels as far as the config asks for them;
/// `sample` gives the batch. The finished embedding [batch, time width (twice with class_concat)].
ValueId time_embedding(ImageBuilder& builder, const UnetConfig& config, ValueId sample);

}  // namespace tenon::models
