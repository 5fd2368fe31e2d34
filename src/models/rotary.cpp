#include "models/rotary.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace tenon::models {
namespace {

// The exponents and powers are float32 in the source implementation; following it keeps the tables
// equal.
std::vector<float> position_frequencies(double theta, std::int64_t dim) {
  std::vector<float> frequencies;
  for (std::int64_t i = 0; i < dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(dim);
    frequencies.push_back(static_cast<float>(std::pow(theta, static_cast<double>(exponent))));
  }
  return frequencies;
}

double required(const Json& scaling, const char* field) {
  if (find_field(scaling, field) == nullptr) bad_input("rope_scaling lacks \"{}\"", field);
  return get_number(scaling, field, 0);
}

double positive(const Json& scaling, const char* field) {
  const double value = required(scaling, field);
  if (!(value > 0) || !std::isfinite(value))
    bad_input("rope_scaling \"{}\" is {}, a positive number was expected", field, value);
  return value;
}

void scale_linear(Rotary& rotary, const Json& scaling) {
  const auto factor = static_cast<float>(positive(scaling, "factor"));
  for (float& frequency : rotary.inv_freq) frequency /= factor;
}

// Long wavelengths are divided by the factor, short ones kept, those between blended.
void scale_llama3(Rotary& rotary, const Json& scaling) {
  const auto factor = static_cast<float>(positive(scaling, "factor"));
  const auto low = static_cast<float>(positive(scaling, "low_freq_factor"));
  const auto high = static_cast<float>(positive(scaling, "high_freq_factor"));
  const auto length = static_cast<float>(positive(scaling, "original_max_position_embeddings"));
  if (low == high) bad_input("rope_scaling: low_freq_factor and high_freq_factor are both {}", low);
  for (float& frequency : rotary.inv_freq) {
    const float wavelength = 2 * std::numbers::pi_v<float> / frequency;
    if (wavelength > length / low) {
      frequency /= factor;
    } else if (wavelength >= length / high) {
      const float smooth = (length / wavelength - low) / (high - low);
      frequency = (1 - smooth) * frequency / factor + smooth * frequency;
    }
  }
}

double yarn_scale(double factor, double weight) {
  return factor <= 1 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0;
}

void scale_yarn(Rotary& rotary, const Json& scaling, const Json& config, double theta) {
  const double factor = positive(scaling, "factor");
  const double length = get_number(scaling, "original_max_position_embeddings",
                                   get_number(config, "max_position_embeddings", 2048));
  const double mscale = get_number(scaling, "mscale", 0);
  const double mscale_all = get_number(scaling, "mscale_all_dim", 0);
  const double inferred = mscale != 0 && mscale_all != 0
                              ? yarn_scale(factor, mscale) / yarn_scale(factor, mscale_all)
                              : yarn_scale(factor, 1);
  rotary.attention_factor = static_cast<float>(get_number(scaling, "attention_factor", inferred));

  const auto dim = static_cast<double>(rotary.dim);
  const auto correction = [&](double rotations) {
    return dim * std::log(length / (rotations * 2 * std::numbers::pi)) / (2 * std::log(theta));
  };
  double low = correction(get_number(scaling, "beta_fast", 32));
  double high = correction(get_number(scaling, "beta_slow", 1));
  if (get_bool(scaling, "truncate", true)) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1);
  if (low == high) high += 0.001;
  const std::vector<float> frequencies = position_frequencies(theta, rotary.dim);
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const auto ramp =
        static_cast<float>(std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0));
    const float kept = 1 - ramp;
    const float interpolated = 1.0F / (static_cast<float>(factor) * frequencies[i]);
    rotary.inv_freq[i] = interpolated * (1 - kept) + 1.0F / frequencies[i] * kept;
  }
}

}  // namespace

Rotary read_rotary(const Json& config, std::int64_t rotary_dim, double default_theta) {
  const Json* scaling = find_field(config, "rope_scaling");
  if (scaling == nullptr) scaling = find_field(config, "rope_parameters");
  static const Json kNone = Json::object();
  if (scaling == nullptr) scaling = &kNone;
  if (!scaling->is_object()) bad_input("rope_scaling is not an object");

  const double theta = get_number(
      *scaling, "rope_theta",
      get_number(config, "rope_theta", get_number(config, "rotary_emb_base", default_theta)));
  if (!(theta > 1) || !std::isfinite(theta))
    bad_input("rope_theta is {}, a number above 1 was expected", theta);
  if (rotary_dim <= 0 || rotary_dim % 2 != 0) {
    bad_input("{} elements of a head are rotated, a positive even number was expected", rotary_dim);
  }
  Rotary rotary;
  rotary.dim = rotary_dim;
  for (const float frequency : position_frequencies(theta, rotary_dim))
    rotary.inv_freq.push_back(1.0F / frequency);

  const std::string rule =
      get_string(*scaling, "rope_type", get_string(*scaling, "type", "default"));
  if (rule == "linear") {
    scale_linear(rotary, *scaling);
  } else if (rule == "llama3") {
    scale_llama3(rotary, *scaling);
  } else if (rule == "yarn") {
    scale_yarn(rotary, *scaling, config, theta);
  } else if (rule == "dynamic") {
    if (rotary_dim < 4)
      bad_input("dynamic rotary scaling needs at least 4 rotated elements, found {}", rotary_dim);
    rotary.dynamic =
        Rotary::Dynamic{static_cast<float>(theta), static_cast<float>(positive(*scaling, "factor")),
                        static_cast<float>(get_number(config, "max_position_embeddings", 2048))};
  } else if (rule != "default") {
    bad_input(
        "rope_scaling type \"{}\" is not supported; default, linear, dynamic, llama3 and yarn are",
        rule);
  }
  return rotary;
}

}  // namespace tenon::models
