// The random numbers of torch's CPU generator.
#include "pipelines/text_to_image/torch_random.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/error.h"

namespace tenon::pipelines {
namespace {

constexpr std::size_t kBlock = 16;  // radii from the first eight uniforms, angles from the others
constexpr std::size_t kPairs = kBlock / 2;
constexpr double kTwoPi = 2 * std::numbers::pi;

// The elementary functions of Cephes in single precision (Moshier), for the ranges that are met:
// log on (0, 1], sine and cosine on [0, 2 pi). Where torch's build fuses a product with a sum, so
// does this: the bits depend on it.
float cephes_log(float x) {
  int exponent = 0;
  float mantissa = std::frexp(x, &exponent);
  if (mantissa < std::numbers::sqrt2_v<float> / 2) {
    --exponent;
    mantissa += mantissa;
  }
  mantissa -= 1.0F;
  const auto e = static_cast<float>(exponent);
  const float square = mantissa * mantissa;
  float y = 7.0376836292E-2F;
  for (const float coefficient :
       {-1.1514610310E-1F, 1.1676998740E-1F, -1.2420140846E-1F, 1.4249322787E-1F, -1.6668057665E-1F,
        2.0000714765E-1F, -2.4999993993E-1F, 3.3333331174E-1F}) {
    y = std::fma(y, mantissa, coefficient);
  }
  y *= mantissa;
  y = std::fma(y, square, e * -2.12194440E-4F);
  y = std::fma(-square, 0.5F, y);
  return std::fma(e, 0.693359375F, mantissa + y);
}

struct SineCosine {
  float sine;
  float cosine;
};

SineCosine cephes_sincos(float x) {
  constexpr auto kFourOverPi = static_cast<float>(4 / std::numbers::pi);
  const int octant = (static_cast<int>(x * kFourOverPi) + 1) & ~1;
  const auto turns = static_cast<float>(octant);
  // pi/4 in three parts, so that the remainder keeps its bits.
  x = std::fma(turns, -0.78515625F, x);
  x = std::fma(turns, -2.4187564849853515625E-4F, x);
  x = std::fma(turns, -3.77489497744594108E-8F, x);
  const float square = x * x;
  float c = std::fma(2.443315711809948E-5F, square, -1.388731625493765E-3F);
  c = std::fma(c, square, 4.166664568298827E-2F) * square;
  c = std::fma(c, square, -(square * 0.5F)) + 1.0F;
  float s = std::fma(-1.9515295891E-4F, square, 8.3321608736E-3F);
  s = std::fma(s, square, -1.6666654611E-1F) * square;
  s = std::fma(s, x, x);
  if ((octant & 2) != 0) std::swap(s, c);
  return {(octant & 4) != 0 ? -s : s, ((octant - 2) & 4) != 0 ? c : -c};
}

/// Box and Muller's transform of 16 uniform values in place.
void to_normal(float* block) {
  for (std::size_t i = 0; i < kPairs; ++i) {
    const float radius = std::sqrt(-2.0F * cephes_log(1.0F - block[i]));
    const SineCosine angle = cephes_sincos(static_cast<float>(kTwoPi) * block[i + kPairs]);
    block[i] = radius * angle.cosine + 0.0F;  // torch adds the mean: -0 becomes 0
    block[i + kPairs] = radius * angle.sine + 0.0F;
  }
}

void to_normal(double* block) {
  for (std::size_t i = 0; i < kPairs; ++i) {
    const double radius = std::sqrt(-2 * std::log(1 - block[i]));
    const double theta = kTwoPi * block[i + kPairs];
    block[i] = radius * std::cos(theta) + 0.0;
    block[i + kPairs] = radius * std::sin(theta) + 0.0;
  }
}

/// `out` holds uniform values, at least a block; an incomplete last block is drawn anew with the
/// values before it, as torch does.
template <typename Value, typename Uniform>
void fill_normal(std::span<Value> out, Uniform&& uniform) {
  for (Value& value : out) value = uniform();
  for (std::size_t i = 0; i + kBlock <= out.size(); i += kBlock) to_normal(&out[i]);
  if (out.size() % kBlock == 0) return;
  const std::span<Value> last = out.last(kBlock);
  for (Value& value : last) value = uniform();
  to_normal(last.data());
}

template <typename Half>
void draw_half(TorchGenerator& generator, std::span<float> out) {
  std::vector<Half> values(out.size());
  generator.randn(std::span<Half>(values));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(values[i]);
}

void draw(TorchGenerator& generator, NoiseType type, std::span<float> out) {
  switch (type) {
    case NoiseType::float32:
      return generator.randn(out);
    case NoiseType::float16:
      return draw_half<Float16>(generator, out);
    case NoiseType::bfloat16:
      return draw_half<BFloat16>(generator, out);
  }
}

}  // namespace

TorchGenerator::TorchGenerator(std::uint64_t seed) : engine_(static_cast<std::uint32_t>(seed)) {}

std::uint32_t TorchGenerator::bits32() { return static_cast<std::uint32_t>(engine_()); }

std::uint64_t TorchGenerator::bits64() {
  const std::uint64_t high = bits32();
  return (high << 32) | bits32();
}

float TorchGenerator::uniform_float() {
  return static_cast<float>(bits32() & 0xFFFFFFU) * 0x1p-24F;
}

double TorchGenerator::uniform_double() {
  return static_cast<double>(bits64() & ((std::uint64_t{1} << 53) - 1)) * 0x1p-53;
}

double TorchGenerator::normal_double() {
  if (cached_normal_) {
    const double value = *cached_normal_;
    cached_normal_.reset();
    return value;
  }
  const double theta = kTwoPi * uniform_double();
  const double radius = std::sqrt(-2 * std::log1p(-uniform_double()));
  cached_normal_ = radius * std::sin(theta);
  return radius * std::cos(theta);
}

void TorchGenerator::randn(std::span<float> out) {
  if (out.size() >= kBlock) return fill_normal(out, [this] { return uniform_float(); });
  for (float& value : out) value = static_cast<float>(normal_double());
}

void TorchGenerator::randn(std::span<double> out) {
  if (out.size() >= kBlock) return fill_normal(out, [this] { return uniform_double(); });
  for (double& value : out) value = normal_double();
}

template <typename Half>
void TorchGenerator::randn_half(std::span<Half> out) {
  if (out.size() < kBlock) {
    for (Half& value : out) value = Half(static_cast<float>(normal_double()));
    return;
  }
  // Here torch draws block by block: the same order of the numbers as drawing all before.
  std::array<float, kBlock> block{};
  const auto fill_block = [&](std::size_t at) {
    for (float& value : block) value = uniform_float();
    to_normal(block.data());
    for (std::size_t i = 0; i < kBlock; ++i) out[at + i] = Half(block[i]);
  };
  for (std::size_t at = 0; at + kBlock <= out.size(); at += kBlock) fill_block(at);
  if (out.size() % kBlock != 0) fill_block(out.size() - kBlock);
}

void TorchGenerator::randn(std::span<Float16> out) { randn_half(out); }
void TorchGenerator::randn(std::span<BFloat16> out) { randn_half(out); }

void TorchGenerator::rand(std::span<float> out) {
  for (float& value : out) value = uniform_float();
}

void TorchGenerator::rand(std::span<double> out) {
  for (double& value : out) value = uniform_double();
}

template <typename Half>
void TorchGenerator::rand_half(std::span<Half> out) {
  // A value that rounds up to 1 would leave [0, 1): torch makes it 0.
  for (Half& value : out) {
    value = Half(uniform_float());
    if (static_cast<float>(value) == 1.0F) value = Half(0.0F);
  }
}

void TorchGenerator::rand(std::span<Float16> out) { rand_half(out); }
void TorchGenerator::rand(std::span<BFloat16> out) { rand_half(out); }

void TorchGenerator::randint(std::int64_t low, std::int64_t high, std::span<std::int64_t> out) {
  if (low >= high) fail(ErrorCode::usage, "no integer is in [{}, {})", low, high);
  const auto base = static_cast<std::uint64_t>(low);
  const std::uint64_t range = static_cast<std::uint64_t>(high) - base;
  const bool wide = range >= (std::uint64_t{1} << 28);
  for (std::int64_t& value : out) {
    value = static_cast<std::int64_t>(base + (wide ? bits64() : bits32()) % range);
  }
}

NoiseSource::NoiseSource(const std::vector<std::uint64_t>& seeds, NoiseType type) : type_(type) {
  if (seeds.empty()) fail(ErrorCode::usage, "noise needs at least one seed");
  for (const std::uint64_t seed : seeds) generators_.emplace_back(seed);
}

void NoiseSource::normal(std::span<float> out) {
  if (out.size() % generators_.size() != 0) {
    fail(ErrorCode::usage,
         "{} values of noise cannot be shared by {} seeds: give one seed, or one an image",
         out.size(), generators_.size());
  }
  const std::size_t share = out.size() / generators_.size();
  for (std::size_t i = 0; i < generators_.size(); ++i) {
    draw(generators_[i], type_, out.subspan(i * share, share));
  }
}

}  // namespace tenon::pipelines
