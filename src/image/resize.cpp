#include "image/resize.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tenon::image {
namespace {

// Eight bits of a pixel and two of headroom leave 22 of 32 for the coefficient.
constexpr int kBits = 32 - 8 - 2;
constexpr double kLobes = 3;

double sinc(double x) {
  return x == 0 ? 1 : std::sin(x * std::numbers::pi) / (x * std::numbers::pi);
}
double lanczos(double x) { return -kLobes <= x && x < kLobes ? sinc(x) * sinc(x / kLobes) : 0; }

/// The source pixels [first, first + weights.size()) of one target pixel.
struct Window {
  std::int64_t first = 0;
  std::vector<std::int32_t> weights;
};

std::vector<Window> windows(std::int64_t from, std::int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double widening = std::max(scale, 1.0);
  const double support = kLobes * widening;
  std::vector<Window> out(static_cast<std::size_t>(to));
  for (std::int64_t i = 0; i < to; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const auto first = std::max(static_cast<std::int64_t>(center - support + 0.5), std::int64_t{0});
    const auto last = std::min(static_cast<std::int64_t>(center + support + 0.5), from);
    std::vector<double> weights;
    double sum = 0;
    for (std::int64_t x = first; x < last; ++x) {
      weights.push_back(lanczos((static_cast<double>(x) - center + 0.5) * (1 / widening)));
      sum += weights.back();
    }
    Window& window = out[static_cast<std::size_t>(i)];
    window.first = first;
    for (const double weight : weights) {
      const double scaled = (sum != 0 ? weight * (1 / sum) : weight) * (1 << kBits);
      window.weights.push_back(static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5));
    }
  }
  return out;
}

std::uint8_t rounded(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kBits, 0, 255));
}

Image across(const Image& image, std::int64_t width) {
  Image out(width, image.height(), image.channels());
  const auto all = windows(image.width(), width);
  const int channels = image.channels();
  for (std::int64_t y = 0; y < image.height(); ++y) {
    std::uint8_t* to = out.row(y);
    for (const Window& window : all) {
      for (int c = 0; c < channels; ++c) {
        const std::uint8_t* from = image.row(y) + window.first * channels + c;
        std::int32_t sum = 1 << (kBits - 1);
        for (const std::int32_t weight : window.weights) {
          sum += *from * weight;
          from += channels;
        }
        *to++ = rounded(sum);
      }
    }
  }
  return out;
}

Image down(const Image& image, std::int64_t height) {
  Image out(image.width(), height, image.channels());
  const auto all = windows(image.height(), height);
  const auto row = static_cast<std::int64_t>(image.row_bytes());
  std::vector<std::int32_t> sums(image.row_bytes());
  for (std::int64_t y = 0; y < height; ++y) {
    const Window& window = all[static_cast<std::size_t>(y)];
    std::fill(sums.begin(), sums.end(), 1 << (kBits - 1));
    for (std::size_t k = 0; k < window.weights.size(); ++k) {
      const std::uint8_t* from = image.row(window.first + static_cast<std::int64_t>(k));
      for (std::int64_t i = 0; i < row; ++i) {
        sums[static_cast<std::size_t>(i)] += from[i] * window.weights[k];
      }
    }
    std::transform(sums.begin(), sums.end(), out.row(y), rounded);
  }
  return out;
}

Image resized(Image image, std::int64_t width, std::int64_t height) {
  if (image.width() != width) image = across(image, width);
  if (image.height() != height) image = down(image, height);
  return image;
}

void premultiply(Image& image) {
  for (std::size_t i = 0; i < image.pixels().size(); i += 4) {
    std::uint8_t* pixel = image.pixels().data() + i;
    for (int c = 0; c < 3; ++c) {
      const int product = pixel[c] * pixel[3] + 128;
      pixel[c] = static_cast<std::uint8_t>(((product >> 8) + product) >> 8);
    }
  }
}

void unpremultiply(Image& image) {
  for (std::size_t i = 0; i < image.pixels().size(); i += 4) {
    std::uint8_t* pixel = image.pixels().data() + i;
    if (pixel[3] == 0 || pixel[3] == 255) continue;
    for (int c = 0; c < 3; ++c) {
      pixel[c] = static_cast<std::uint8_t>(std::min(255 * pixel[c] / pixel[3], 255));
    }
  }
}

}  // namespace

Image resize_lanczos(const Image& image, std::int64_t width, std::int64_t height) {
  if (image.width() == width && image.height() == height) return image;
  Image work = image;
  if (work.channels() == 4) premultiply(work);
  work = resized(std::move(work), width, height);
  if (work.channels() == 4) unpremultiply(work);
  return work;
}

}  // namespace tenon::image
