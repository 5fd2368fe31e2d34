// The random numbers of torch's CPU generator, so that a seed gives the pictures it gives there.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <vector>

#include "base/half.h"

namespace tenon::pipelines {

/// torch.Generator("cpu").manual_seed(seed). Numbers equal torch.rand / randn / randint with
/// generator=... on one contiguous tensor of the same size, type and order of calls. float32 is
/// bit-equal to torch's AVX2 kernel, which x86-64 machines with AVX2 or AVX-512 run (Cephes'
/// polynomials with fused multiply-add); fewer than 16 values and float64 go through libm and are
/// equal to within its last bit. 16-bit types: as torch 2.15, which draws in float32 and rounds.
/// Not thread-safe; copies continue independently from the same state.
class TorchGenerator {
 public:
  explicit TorchGenerator(std::uint64_t seed);

  std::uint32_t bits32();
  std::uint64_t bits64();

  /// Standard normal values.
  void randn(std::span<float> out);
  void randn(std::span<double> out);
  void randn(std::span<Float16> out);
  void randn(std::span<BFloat16> out);

  /// Uniform in [0, 1).
  void rand(std::span<float> out);
  void rand(std::span<double> out);
  void rand(std::span<Float16> out);
  void rand(std::span<BFloat16> out);

  /// Integers in [low, high); Error(usage) when there are none.
  void randint(std::int64_t low, std::int64_t high, std::span<std::int64_t> out);

 private:
  float uniform_float();
  double uniform_double();
  double normal_double();
  template <typename Half>
  void randn_half(std::span<Half> out);
  template <typename Half>
  void rand_half(std::span<Half> out);

  std::mt19937 engine_;  // seeded with the low 32 bits, as torch seeds its own
  std::optional<double> cached_normal_;
};

enum class NoiseType { float32, float16, bfloat16 };

/// Noise for a batch of images as diffusers' randn_tensor draws it: from one generator for the
/// whole batch, or from one generator an image.
class NoiseSource {
 public:
  /// One seed, or one an image; Error(usage) for none. `type`: the type diffusers would run the
  /// pipeline in; the values are those of this type, given as float.
  explicit NoiseSource(const std::vector<std::uint64_t>& seeds,
                       NoiseType type = NoiseType::float32);

  /// Fills a tensor [images, ...]. With several seeds its size must be a multiple of their number
  /// (Error(usage) otherwise), and every image takes its share from its own generator.
  void normal(std::span<float> out);

  std::size_t generators() const { return generators_.size(); }
  TorchGenerator& generator(std::size_t index) { return generators_[index]; }

 private:
  std::vector<TorchGenerator> generators_;
  NoiseType type_;
};

}  // namespace tenon::pipelines
