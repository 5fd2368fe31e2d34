#include "pipelines/text_to_image/preview.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "image/tensor_form.h"

namespace tenon::pipelines {
namespace {

// Solves a x = b for symmetric a of n rows in place, three right sides; the pivot is the largest.
void solve(std::vector<double>& a, std::vector<std::array<double, 3>>& b) {
  const std::size_t n = b.size();
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k + 1; i < n; ++i) {
      if (std::abs(a[i * n + k]) > std::abs(a[pivot * n + k])) pivot = i;
    }
    if (std::abs(a[pivot * n + k]) < 1e-12)
      bad_input("the latents are too few to fit a preview to");
    for (std::size_t j = 0; j < n; ++j) std::swap(a[k * n + j], a[pivot * n + j]);
    std::swap(b[k], b[pivot]);
    for (std::size_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const double factor = a[i * n + k] / a[k * n + k];
      for (std::size_t j = k; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
      for (std::size_t c = 0; c < 3; ++c) b[i][c] -= factor * b[k][c];
    }
  }
  for (std::size_t k = 0; k < n; ++k) {
    for (double& value : b[k]) value /= a[k * n + k];
  }
}

// Mean colour of the square of pixels behind latent (y, x) of image n.
std::array<double, 3> mean_colour(const Tensor& images, std::int64_t n, std::int64_t y,
                                  std::int64_t x, std::int64_t factor) {
  const Shape& shape = images.shape();
  std::array<double, 3> mean{};
  for (std::int64_t c = 0; c < 3; ++c) {
    const float* plane = images.as<float>().data() + (n * 3 + c) * shape[2] * shape[3];
    for (std::int64_t row = y * factor; row < (y + 1) * factor; ++row) {
      for (std::int64_t column = x * factor; column < (x + 1) * factor; ++column) {
        mean[static_cast<std::size_t>(c)] += plane[row * shape[3] + column];
      }
    }
  }
  for (double& value : mean) value /= static_cast<double>(factor * factor);
  return mean;
}

}  // namespace

const LatentRgb& stable_diffusion_latent_rgb() {
  static const LatentRgb kFactors = {{0.298F, 0.207F, 0.208F},
                                     {0.187F, 0.286F, 0.173F},
                                     {-0.158F, 0.189F, 0.264F},
                                     {-0.184F, -0.271F, -0.473F}};
  return kFactors;
}

LatentRgb fit_latent_rgb(const Tensor& latents, const Tensor& images) {
  const Shape& from = latents.shape();
  const Shape& to = images.shape();
  if (from.size() != 4 || to.size() != 4 || from[0] != to[0] || to[1] != 3 ||
      to[2] % from[2] != 0 || to[3] * from[2] != to[2] * from[3]) {
    bad_input("latents of {} do not decode to pictures of {}", to_string(from), to_string(to));
  }
  const auto channels = static_cast<std::size_t>(from[1]);
  const std::size_t n = channels + 1;
  std::vector<double> products(n * n);
  std::vector<std::array<double, 3>> sums(n);
  std::vector<double> row(n, 1.0);
  const std::int64_t plane = from[2] * from[3];
  for (std::int64_t i = 0; i < from[0]; ++i) {
    for (std::int64_t at = 0; at < plane; ++at) {
      for (std::size_t c = 0; c < channels; ++c) {
        row[c] = latents.as<float>()[(static_cast<std::size_t>(i) * channels + c) *
                                         static_cast<std::size_t>(plane) +
                                     static_cast<std::size_t>(at)];
      }
      const auto colour = mean_colour(images, i, at / from[3], at % from[3], to[2] / from[2]);
      for (std::size_t a = 0; a < n; ++a) {
        for (std::size_t b = 0; b < n; ++b) products[a * n + b] += row[a] * row[b];
        for (std::size_t c = 0; c < 3; ++c) sums[a][c] += row[a] * colour[c];
      }
    }
  }
  solve(products, sums);
  LatentRgb out(n);
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t c = 0; c < 3; ++c) out[a][c] = static_cast<float>(sums[a][c]);
  }
  return out;
}

std::vector<image::Image> linear_preview(const Tensor& latents, const LatentRgb& factors) {
  const Shape& shape = latents.shape();
  const auto channels = static_cast<std::size_t>(shape[1]);
  if (factors.size() != channels && factors.size() != channels + 1) {
    fail(ErrorCode::usage, "a preview of {} latent channels by {} rows of factors", channels,
         factors.size());
  }
  const auto plane = static_cast<std::size_t>(shape[2] * shape[3]);
  Tensor colours(DType::f32, {shape[0], 3, shape[2], shape[3]});
  for (std::size_t i = 0; i < static_cast<std::size_t>(shape[0]); ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      const auto to = colours.as<float>().subspan((i * 3 + c) * plane, plane);
      std::fill(to.begin(), to.end(), factors.size() > channels ? factors.back()[c] : 0.0F);
      for (std::size_t k = 0; k < channels; ++k) {
        const auto from = latents.as<float>().subspan((i * channels + k) * plane, plane);
        for (std::size_t at = 0; at < plane; ++at) to[at] += factors[k][c] * from[at];
      }
    }
  }
  return image::from_signed_tensor(colours.view());
}

std::optional<std::vector<image::Image>> preview(DiffusionModels& models, const Tensor& latents) {
  const auto& facts = models.facts();
  if (facts.has_tiny_decoder) {
    return image::from_signed_tensor(models.decode_preview(latents).view());
  }
  if (!facts.latent_rgb.empty()) return linear_preview(latents, facts.latent_rgb);
  if (facts.latent_channels == 4 && std::abs(facts.scaling() - 0.18215) < 1e-6) {
    return linear_preview(latents, stable_diffusion_latent_rgb());
  }
  return std::nullopt;
}

}  // namespace tenon::pipelines
