// Brownian motion whose increments over any intervals agree: torchsde's BrownianInterval in its
// dyadic form, so that its seeds keep their meaning.
#pragma once

#include <cstdint>
#include <vector>

namespace tenon::pipelines {

/// W over [start, end], `size` independent paths, equal to
///   torchsde.BrownianInterval(t0=start, t1=end, size, entropy=seed, tol=1e-6, pool_size=24,
///                             halfway_tree=True).
/// Times are rounded to six decimals as there. Nothing is kept between calls: an increment costs
/// up to twice log2((end - start) * 1e6) draws of `size` normals.
class BrownianTree {
 public:
  BrownianTree(double start, double end, std::uint64_t seed, std::size_t size);

  /// W(to) - W(from); from <= to, held within [start, end].
  std::vector<float> increment(double from, double to) const;

 private:
  struct Node;
  void collect(const Node& node, double from, double to, std::vector<float>& sum) const;
  std::vector<float> normals(std::uint32_t seed) const;

  double start_;
  double end_;
  double length_;  // before rounding
  std::uint64_t seed_;
  std::size_t size_;
};

}  // namespace tenon::pipelines
