#include "pipelines/text_to_image/parameters.h"

#include <charconv>

#include <fmt/core.h>

namespace tenon::pipelines {
namespace {

constexpr std::string_view kNegative = "Negative prompt: ";
constexpr std::string_view kSteps = "Steps: ";

template <typename Number>
void read_number(std::string_view text, Number& out) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) out = value;
}

void read_field(std::string_view key, std::string_view value, ImageParameters& out) {
  if (key == "Steps") read_number(value, out.steps);
  if (key == "Sampler") out.scheduler = value;
  if (key == "CFG scale") read_number(value, out.guidance);
  if (key == "Seed") read_number(value, out.seed);
  if (key == "Model") out.model = value;
  if (key == "Clip skip") {
    read_number(value, out.clip_skip);
    --out.clip_skip;
  }
  if (key == "Batch index") read_number(value, out.batch_index.emplace());
  if (key == "Denoising strength") read_number(value, out.strength.emplace());
  if (key == "Size") {
    const std::size_t cross = value.find('x');
    if (cross == std::string_view::npos) return;
    read_number(value.substr(0, cross), out.width);
    read_number(value.substr(cross + 1), out.height);
  }
}

}  // namespace

ImageParameters image_parameters(const ImageRequest& request, const ImageResult& result,
                                 std::int64_t index, std::string_view scheduler,
                                 std::string_view model) {
  ImageParameters out;
  out.prompt = request.prompt;
  out.negative_prompt = request.guidance > 1 ? request.negative_prompt : "";
  out.steps = request.steps;
  out.scheduler = scheduler;
  out.guidance = request.guidance;
  const auto at = static_cast<std::size_t>(index);
  out.seed = request.seeds[request.seeds.size() > 1 ? at : 0];
  if (request.images > 1 && request.seeds.size() == 1) out.batch_index = index;
  out.width = result.width;
  out.height = result.height;
  out.model = model;
  if (request.init_image) out.strength = request.strength;
  out.clip_skip = request.prompt_options.clip_skip;
  return out;
}

std::string to_text(const ImageParameters& parameters) {
  std::string text = parameters.prompt + '\n';
  if (!parameters.negative_prompt.empty()) {
    text += fmt::format("{}{}\n", kNegative, parameters.negative_prompt);
  }
  text += fmt::format("{}{}, Sampler: {}, CFG scale: {}, Seed: {}, Size: {}x{}", kSteps,
                      parameters.steps, parameters.scheduler, parameters.guidance, parameters.seed,
                      parameters.width, parameters.height);
  if (!parameters.model.empty()) text += ", Model: " + parameters.model;
  if (parameters.strength) text += fmt::format(", Denoising strength: {}", *parameters.strength);
  // There 1 means that no layer is left out.
  if (parameters.clip_skip > 0) text += fmt::format(", Clip skip: {}", parameters.clip_skip + 1);
  if (parameters.batch_index) text += fmt::format(", Batch index: {}", *parameters.batch_index);
  return text;
}

std::optional<ImageParameters> parse_parameters(std::string_view text) {
  const std::size_t line = text.rfind('\n');
  if (line == std::string_view::npos || !text.substr(line + 1).starts_with(kSteps)) {
    return std::nullopt;
  }
  ImageParameters out;
  std::string_view fields = text.substr(line + 1);
  std::string_view prompts = text.substr(0, line);
  const std::size_t negative =
      prompts.starts_with(kNegative) ? 0 : prompts.find(fmt::format("\n{}", kNegative));
  if (negative != std::string_view::npos) {
    const std::size_t begin = negative + (prompts.starts_with(kNegative) ? 0 : 1);
    out.negative_prompt = prompts.substr(begin + kNegative.size());
    prompts = prompts.substr(0, negative);
  }
  out.prompt = prompts;
  while (!fields.empty()) {
    const std::size_t end = std::min(fields.find(", "), fields.size());
    const std::string_view field = fields.substr(0, end);
    fields.remove_prefix(std::min(end + 2, fields.size()));
    const std::size_t colon = field.find(": ");
    if (colon != std::string_view::npos) {
      read_field(field.substr(0, colon), field.substr(colon + 2), out);
    }
  }
  return out;
}

void write_generated(const std::filesystem::path& path, const image::Image& image,
                     const ImageParameters& parameters) {
  image::WriteOptions options;
  options.texts.push_back({"parameters", to_text(parameters)});
  image::write_image(path, image, options);
}

}  // namespace tenon::pipelines
