#include "pipelines/text_to_image/latents.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace tenon::pipelines {

LatentStatistics latent_statistics(std::span<const float> values, double timestep) {
  LatentStatistics out;
  out.timestep = timestep;
  out.low = std::numeric_limits<double>::infinity();
  out.high = -out.low;
  double sum = 0;
  double squares = 0;
  for (const float value : values) {
    if (!std::isfinite(value)) {
      ++out.not_finite;
      continue;
    }
    const double v = value;
    sum += v;
    squares += v * v;
    out.low = std::min(out.low, v);
    out.high = std::max(out.high, v);
  }
  const auto count = static_cast<double>(values.size()) - static_cast<double>(out.not_finite);
  if (count == 0) {
    out.low = out.high = 0;
    return out;
  }
  out.mean = sum / count;
  out.deviation = std::sqrt(std::max(squares / count - out.mean * out.mean, 0.0));
  return out;
}

void require_finite(std::span<const float> values, const std::string& what) {
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  if (bad == values.end()) return;
  const auto statistics = latent_statistics(values, 0);
  throw Error(
      ErrorCode::check_failed,
      fmt::format("{}: {} of {} values are NaN or infinite, the first ({}) at {}; the others "
                  "are {:.4g} to {:.4g}",
                  what, statistics.not_finite, values.size(), *bad, bad - values.begin(),
                  statistics.low, statistics.high))
      .hint(
          "tenon verify names the first value that departs; a build in fp32 or bf16 has the range "
          "that fp16 lacks");
}

LatentParameters split_parameters(const Tensor& both) {
  const Shape& shape = both.shape();
  LatentParameters out;
  out.mean = Tensor(DType::f32, {shape[0], shape[1] / 2, shape[2], shape[3]});
  out.logvar = Tensor(DType::f32, out.mean.shape());
  const std::size_t part = out.mean.bytes() / static_cast<std::size_t>(shape[0]);
  for (std::size_t i = 0; i < static_cast<std::size_t>(shape[0]); ++i) {
    std::copy_n(both.data() + 2 * i * part, part, out.mean.data() + i * part);
    std::copy_n(both.data() + (2 * i + 1) * part, part, out.logvar->data() + i * part);
  }
  return out;
}

Tensor draw_latents(const LatentParameters& parameters, std::span<const float> noise,
                    const DiffusionFacts& facts) {
  Tensor latents = parameters.mean;
  const auto values = latents.as<float>();
  if (parameters.logvar) {
    if (parameters.logvar->shape() != latents.shape() || noise.size() != values.size()) {
      bad_input("vae_encoder: variances of {} and {} draws for means of {}",
                to_string(parameters.logvar->shape()), noise.size(), to_string(latents.shape()));
    }
    const auto logvar = parameters.logvar->as<float>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float deviation = std::exp(0.5F * std::clamp(logvar[i], -30.0F, 20.0F));
      values[i] += deviation * noise[i];
    }
  }
  const auto scale = static_cast<float>(facts.scaling());
  const auto shift = static_cast<float>(facts.shift_factor);
  for (float& value : values) value = (value - shift) * scale;
  return latents;
}

Tensor unscaled(const Tensor& latents, const DiffusionFacts& facts) {
  Tensor out = latents;
  const auto scale = static_cast<float>(facts.scaling());
  const auto shift = static_cast<float>(facts.shift_factor);
  for (float& value : out.as<float>()) value = value / scale + shift;
  return out;
}

Tensor shrink_mask(const Tensor& mask, std::int64_t factor) {
  const std::int64_t width = mask.shape()[3];
  Tensor out(DType::f32, {1, 1, mask.shape()[2] / factor, width / factor});
  const auto from = mask.as<float>();
  auto to = out.as<float>().begin();
  for (std::int64_t y = 0; y < out.shape()[2]; ++y) {
    for (std::int64_t x = 0; x < out.shape()[3]; ++x) {
      *to++ = from[static_cast<std::size_t>(y * factor * width + x * factor)];
    }
  }
  return out;
}

Tensor repeated(const Tensor& tensor, std::int64_t times) {
  Shape shape = tensor.shape();
  shape[0] *= times;
  Tensor out(tensor.dtype(), shape);
  for (std::int64_t i = 0; i < times; ++i) {
    std::copy_n(tensor.data(), tensor.bytes(),
                out.data() + static_cast<std::size_t>(i) * tensor.bytes());
  }
  return out;
}

Tensor join_channels(const Tensor& a, const Tensor& b) {
  Shape shape = a.shape();
  shape[1] += b.shape()[1];
  Tensor out(a.dtype(), shape);
  const auto images = static_cast<std::size_t>(shape[0]);
  const std::size_t part_a = a.bytes() / images;
  const std::size_t part_b = b.bytes() / images;
  std::byte* to = out.data();
  for (std::size_t i = 0; i < images; ++i) {
    to = std::copy_n(a.data() + i * part_a, part_a, to);
    to = std::copy_n(b.data() + i * part_b, part_b, to);
  }
  return out;
}

Tensor join_batches(const Tensor& a, const Tensor& b) {
  Shape shape = a.shape();
  shape[0] += b.shape()[0];
  Tensor out(a.dtype(), shape);
  std::copy_n(b.data(), b.bytes(), std::copy_n(a.data(), a.bytes(), out.data()));
  return out;
}

Tensor batch_slice(const Tensor& tensor, std::int64_t first, std::int64_t count) {
  Shape shape = tensor.shape();
  const std::size_t row = tensor.bytes() / static_cast<std::size_t>(shape[0]);
  shape[0] = count;
  Tensor out(tensor.dtype(), shape);
  std::copy_n(tensor.data() + static_cast<std::size_t>(first) * row, out.bytes(), out.data());
  return out;
}

}  // namespace tenon::pipelines
