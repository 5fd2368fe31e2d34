#include "verify/output_errors.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tenon::verify {
namespace {

// Values of pictures lie in -1 to 1.
constexpr double kPeakToPeak = 2;

bool is_picture(std::span<const std::int64_t> shape) { return shape.size() == 4 && shape[1] == 3; }

}  // namespace

std::vector<std::pair<std::string, std::string>> output_pairs(std::span<const std::string> a,
                                                              std::span<const std::string> b) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& name : b) {
    if (std::find(a.begin(), a.end(), name) != a.end()) pairs.emplace_back(name, name);
  }
  for (std::size_t i = 0; pairs.empty() && i < std::min(a.size(), b.size()); ++i)
    pairs.emplace_back(a[i], b[i]);
  return pairs;
}

std::vector<std::string> output_names(const engine::Engine& engine) {
  std::vector<std::string> names;
  for (const auto index : engine.outputs)
    names.push_back(engine.values[static_cast<std::size_t>(index)].name);
  return names;
}

OutputAccumulator::OutputAccumulator(std::vector<std::pair<std::string, std::string>> pairs)
    : pairs_(std::move(pairs)), sums_(pairs_.size()) {
  for (std::size_t i = 0; i < pairs_.size(); ++i) sums_[i].error.output = pairs_[i].second;
}

void OutputAccumulator::add(const session::TensorMap& a, const session::TensorMap& b) {
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    const auto x = a.find(pairs_[i].first);
    const auto y = b.find(pairs_[i].second);
    if (x == a.end() || y == b.end()) bad_input("output {} is missing", pairs_[i].first);
    if (x->second.shape() != y->second.shape()) {
      bad_input("output {} is {} in A and {} in B: they are not the same model", pairs_[i].second,
                to_string(x->second.shape()), to_string(y->second.shape()));
    }
    add(x->second.view(), y->second.view(), sums_[i]);
  }
  ++runs_;
}

void OutputAccumulator::add(const TensorView& a, const TensorView& b, Sums& sums) {
  const Tensor wide_a = converted(a, DType::f32);
  const Tensor wide_b = converted(b, DType::f32);
  const auto x = wide_a.as<float>();
  const auto y = wide_b.as<float>();
  double squares = 0;
  double squares_a = 0;
  bool finite = true;
  for (std::size_t i = 0; i < x.size(); ++i) {
    finite = finite && std::isfinite(x[i]) && std::isfinite(y[i]);
    const double difference = std::abs(double{x[i]} - double{y[i]});
    squares += difference * difference;
    squares_a += double{x[i]} * x[i];
    sums.absolute += difference;
    sums.error.max_abs = std::max(sums.error.max_abs, difference);
  }
  if (sums.error.shape.empty()) sums.error.shape = b.shape;
  sums.error.elements += static_cast<std::int64_t>(x.size());
  sums.error.finite = sums.error.finite && finite;
  sums.squares += squares;
  sums.squares_a += squares_a;
  const double relative = finite ? std::sqrt(squares / std::max(squares_a, 1e-300)) : INFINITY;
  if (relative > sums.worst) {
    sums.worst = relative;
    sums.error.worst_run = runs_;
  }
}

std::vector<OutputError> OutputAccumulator::result() const {
  std::vector<OutputError> errors;
  for (const Sums& sums : sums_) {
    OutputError error = sums.error;
    const double count = std::max(static_cast<double>(error.elements), 1.0);
    if (!error.finite) error.max_abs = INFINITY;
    error.mean_abs = error.finite ? sums.absolute / count : INFINITY;
    error.relative = !error.finite       ? INFINITY
                     : sums.squares == 0 ? 0.0
                                         : std::sqrt(sums.squares / sums.squares_a);
    if (is_picture(error.shape)) {
      error.psnr = !error.finite
                       ? -INFINITY
                       : 10 * std::log10(kPeakToPeak * kPeakToPeak / (sums.squares / count));
    }
    errors.push_back(std::move(error));
  }
  return errors;
}

Metrics OutputAccumulator::metrics() const {
  Metrics all;
  double absolute = 0;
  double squares = 0;
  double squares_a = 0;
  double count = 0;
  for (const Sums& sums : sums_) {
    all.finite = all.finite && sums.error.finite;
    all.max_abs = std::max(all.max_abs, sums.error.max_abs);
    absolute += sums.absolute;
    squares += sums.squares;
    squares_a += sums.squares_a;
    count += static_cast<double>(sums.error.elements);
  }
  if (!all.finite) {
    all.max_abs = all.mean_abs = all.relative_l2 = INFINITY;
    return all;
  }
  all.mean_abs = absolute / std::max(count, 1.0);
  all.relative_l2 = squares == 0 ? 0.0 : std::sqrt(squares / squares_a);
  return all;
}

std::size_t OutputAccumulator::worst_run() const {
  const auto worst = std::max_element(
      sums_.begin(), sums_.end(), [](const Sums& a, const Sums& b) { return a.worst < b.worst; });
  return worst == sums_.end() ? 0 : static_cast<std::size_t>(worst->error.worst_run);
}

double relative_error(std::span<const std::pair<std::string, std::string>> pairs,
                      const session::TensorMap& a, const session::TensorMap& b) {
  for (const auto& [x, y] : pairs) {
    const auto in_a = a.find(x);
    const auto in_b = b.find(y);
    if (in_a == a.end() || in_b == b.end() || in_a->second.shape() != in_b->second.shape())
      return INFINITY;
  }
  OutputAccumulator sums({pairs.begin(), pairs.end()});
  sums.add(a, b);
  return sums.metrics().relative_l2;
}

}  // namespace tenon::verify
