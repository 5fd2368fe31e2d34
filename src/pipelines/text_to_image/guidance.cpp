#include "pipelines/text_to_image/guidance.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tenon::pipelines {
namespace {

double deviation(std::span<const float> values) {
  const auto count = static_cast<double>(values.size());
  double mean = 0;
  for (const float value : values) mean += value;
  mean /= count;
  double sum = 0;
  for (const float value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / (count - 1));
}

}  // namespace

void guide(std::span<const float> uncond, std::span<float> text, std::int64_t images, double scale,
           double rescale) {
  if (uncond.size() != text.size() || images < 1 ||
      text.size() % static_cast<std::size_t>(images) != 0) {
    fail(ErrorCode::internal, "guidance over {} and {} values of {} images", uncond.size(),
         text.size(), images);
  }
  const auto factor = static_cast<float>(scale);
  const std::size_t part = text.size() / static_cast<std::size_t>(images);
  for (std::size_t at = 0; at < text.size(); at += part) {
    const auto image = text.subspan(at, part);
    const double before = rescale > 0 ? deviation(image) : 0;
    for (std::size_t i = 0; i < part; ++i) {
      image[i] = uncond[at + i] + factor * (image[i] - uncond[at + i]);
    }
    if (rescale <= 0) continue;
    const double after = deviation(image);
    if (after == 0) continue;
    const auto ratio = static_cast<float>(before / after);
    const auto mix = static_cast<float>(rescale);
    const auto rest = static_cast<float>(1 - rescale);
    for (float& value : image) value = mix * (value * ratio) + rest * value;
  }
}

void embed_guidance(double scale, std::int64_t width, std::span<float> out) {
  const std::int64_t half = width / 2;
  const double step = std::log(10000.0) / static_cast<double>(std::max<std::int64_t>(half - 1, 1));
  std::fill(out.begin(), out.end(), 0.0F);
  for (std::size_t at = 0; at < out.size(); at += static_cast<std::size_t>(width)) {
    for (std::int64_t i = 0; i < half; ++i) {
      const double angle = (scale - 1) * 1000 * std::exp(-step * static_cast<double>(i));
      out[at + static_cast<std::size_t>(i)] = static_cast<float>(std::sin(angle));
      out[at + static_cast<std::size_t>(half + i)] = static_cast<float>(std::cos(angle));
    }
  }
}

}  // namespace tenon::pipelines
