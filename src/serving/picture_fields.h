// The fields of a JSON request for pictures.
#pragma once

#include "base/json.h"
#include "pipelines/text_to_image/text_to_image.h"

namespace tenon::serving {

inline constexpr std::int64_t kMaxPictures = 10;

/// Changes `request` by negative_prompt, n, size ("512x512"), width, height, steps, guidance,
/// scheduler and seed; absent fields change nothing. Error(bad_input) names the field.
void apply_picture_fields(pipelines::ImageRequest& request, const Json& fields);

}  // namespace tenon::serving
