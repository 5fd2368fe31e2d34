// The text that goes into a picture's file, and out of it again: how it was made.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "image/file.h"
#include "pipelines/text_to_image/text_to_image.h"

namespace tenon::pipelines {

/// The usual form of the text chunk "parameters":
///   prompt
///   Negative prompt: ...
///   Steps: 20, Sampler: ddim, CFG scale: 7.5, Seed: 1, Size: 512x512, Model: name
/// The negative prompt's line stands only when there is one. A run from a picture adds "Denoising
/// strength". `seed`: that of this image; of several images from one seed the first has it, and
/// "Batch index" says which this is.
struct ImageParameters {
  std::string prompt;
  std::string negative_prompt;
  std::int64_t steps = 0;
  std::string scheduler;
  double guidance = 0;
  std::uint64_t seed = 0;
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::string model;
  std::optional<double> strength;
  std::optional<std::int64_t> batch_index;
  std::int64_t clip_skip = 0;
};
ImageParameters image_parameters(const ImageRequest& request, const ImageResult& result,
                                 std::int64_t index, std::string_view scheduler,
                                 std::string_view model);
std::string to_text(const ImageParameters& parameters);
/// Reads the form above; fields that are missing keep their defaults. Nothing when the last line
/// does not begin with "Steps: ".
std::optional<ImageParameters> parse_parameters(std::string_view text);

/// Writes by the name's end, whole or not at all; a PNG file carries the parameters.
void write_generated(const std::filesystem::path& path, const image::Image& image,
                     const ImageParameters& parameters);

}  // namespace tenon::pipelines
